import pytest

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.tasks import Example, TaskData, load_task, messages_for
from cal_grpo.tasks.rows import parse_row

SYSTEM, USER, ASSISTANT = ({"role": role, "content": f"the {role}'s"} for role in ("system", "user", "assistant"))
BEFORE_SYSTEM = (("system", "the system's"),)


def read(*messages):
    example = parse_row({"prompt": list(messages), "answer": "1"}, "row 1")
    return example.question, example.before


def test_the_last_user_message_is_the_question_and_what_stands_before_it_is_kept():
    assert read(USER) == ("the user's", ())
    assert read(SYSTEM, USER) == ("the user's", BEFORE_SYSTEM)
    earlier = (*BEFORE_SYSTEM, ("user", "the user's"), ("assistant", "the assistant's"))
    assert read(SYSTEM, USER, ASSISTANT, {"role": "user", "content": "and now?"}) == ("and now?", earlier)
    assert read(USER, ASSISTANT) == ("the user's", ())  # the answer of a data set for fine-tuning is not shown


def test_a_message_in_parts_of_text_is_read():
    parts = [{"type": "text", "text": "How "}, {"type": "text", "text": "many?"}]
    assert read({"role": "user", "content": parts})[0] == "How many?"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([SYSTEM], "has no user message in 1"),
        ([USER, SYSTEM, USER], "has a system message that is not the first"),
        ([{"role": "tool", "content": "x"}, USER], "has a message with the role 'tool'"),
        ([USER, "text"], "has a message with the role None"),
        ([{"role": "user", "content": None}], "has a user message that is None"),
        ([{"role": "user", "content": [{"type": "image"}]}], "has a user message that is"),
        ([{"role": "user", "content": " "}], "is ' '; expected text"),
        ([{"role": "user", "content": "half \ud83d"}], "holds half a character"),
        ([{"role": "system", "content": "use \boxed"}, USER], r"has a control character in the place of \\boxed"),
    ],
)
def test_a_conversation_that_asks_nothing_is_one_line(messages, message):
    with pytest.raises(UsageError, match=f"row 1: field 'prompt' {message}") as caught:
        read(*messages)
    assert "\n" not in str(caught.value)


def shown(example, system=None, answer_format=None):
    return [(m["role"], m["content"]) for m in messages_for(example, system, answer_format)]


def test_a_question_alone_is_shown_as_it_stands():
    assert shown(Example("q", "1", "r")) == [("user", "q")]


def test_prompts_of_a_task_stand_in_front_and_behind():
    assert shown(Example("q", "1", "r"), "be brief", "in a box") == [("system", "be brief"), ("user", "q\n\nin a box")]
    own = Example("q", "1", "r", (("system", "mine"), ("user", "a"), ("assistant", "b")))
    assert shown(own, "be brief") == [("system", "mine"), ("user", "a"), ("assistant", "b"), ("user", "q")]
    turns = Example("q", "1", "r", (("user", "a"), ("assistant", "b")))
    assert shown(turns, "be brief") == [("system", "be brief"), ("user", "a"), ("assistant", "b"), ("user", "q")]


def all_shown(chat):
    own = Example("q", "1", "r", BEFORE_SYSTEM)
    given = TaskData([own, Example("p", "1", "r")], [], 9, 9, system="the task's", answer_format="boxed")
    task = load_task(TrainConfig.model_validate({"chat": chat}), task=given)
    return [shown(e, task.system, task.answer_format) for e in task.train]


def test_what_the_config_sets_wins_over_the_row_and_the_row_over_the_task():
    q, p = ("user", "q\n\nboxed"), ("user", "p\n\nboxed")
    assert all_shown({}) == [[BEFORE_SYSTEM[0], q], [("system", "the task's"), p]]
    assert all_shown({"system": "mine"}) == [[("system", "mine"), q], [("system", "mine"), p]]
    assert all_shown({"system": "", "answer_format": ""}) == [[("user", "q")], [("user", "p")]]


@pytest.mark.parametrize("name", ["tokenize", "add_generation_prompt", "conversation"])
def test_arguments_that_the_engine_sets_are_refused(name):
    with pytest.raises(ValueError, match=f"holds '{name}', which the engine sets"):
        TrainConfig.model_validate({"chat": {"template_arguments": {name: True}}})
