"""A task of a person's own."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade
from cal_grpo.tasks import Example, TaskData, grade_by_answer, graded, load_task

TRAIN = [Example(f"q{i}", str(i), f"#### {i}") for i in range(20)]
HELD_OUT = [Example(f"h{i}", str(i), f"#### {i}") for i in range(10)]


@dataclass(frozen=True)
class Coded(Example):
    test: str = "assert True"


def longest(response, example):
    return Grade(len(response) > 3, response, example.answer, "text")


TASK = TaskData(TRAIN, HELD_OUT, prompt_tokens=30, answer_tokens=40, grade=longest, system="Be brief.")
MODULE = f"{__name__}_parts"


@pytest.fixture
def found(monkeypatch):
    """Makes ``module:name`` lead to an object."""

    def put(value):
        monkeypatch.setitem(sys.modules, MODULE, type(sys)(MODULE))
        monkeypatch.setattr(sys.modules[MODULE], "load", value, raising=False)
        return TrainConfig(task=f"{MODULE}:load", max_eval_samples=4, max_train_samples=15)

    return put


@pytest.mark.parametrize("value", [TASK, lambda config: TASK])
def test_a_name_leads_to_a_task_or_to_a_function_of_the_config(found, value):
    task = load_task(found(value))
    assert (task.train, task.eval) == (TRAIN[:15], HELD_OUT[:4])
    assert (task.grade, task.system, task.prompt_tokens, task.answer_tokens) == (longest, "Be brief.", 30, 40)
    assert load_task(found(value), train=False).train == []


def test_the_function_gets_the_config(found):
    config = found(lambda config: TaskData(TRAIN[: config.seed], HELD_OUT, 9, 9)).model_copy(update={"seed": 3})
    assert len(load_task(config).train) == 3


def test_an_object_takes_the_place_of_the_configs_task():
    task = load_task(TrainConfig(), task=TASK)
    assert (task.train, task.eval, task.grade) == (TRAIN, HELD_OUT, longest)
    assert TaskData([], [], 1, 1).grade is grade_by_answer


def test_held_out_questions_that_are_trained_on_are_said():
    task = load_task(TrainConfig(), task=TaskData(TRAIN, [Example("Q 3", "3", "")], 9, 9))
    assert task.notes == ("1 of 1 held-out questions are training questions too",)


def bad(**changes):
    return TaskData(**{"train": TRAIN, "eval": HELD_OUT, "prompt_tokens": 9, "answer_tokens": 9} | changes)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "is 3; expected a TaskData, or a function"),
        (lambda config: None, "gave None; expected a cal_grpo.tasks.TaskData"),
        (lambda: TASK, "failed for this config .TypeError: .*takes 0 positional arguments"),
        (lambda config: 1 / 0, "failed for this config .ZeroDivisionError: division by zero"),
        (bad(train=iter(TRAIN)), "train is a list_iterator; expected a list of Example"),
        (bad(train=[]), "no training question"),
        (bad(train=["q"]), r"train\[0\] is 'q'; expected an Example"),
        (bad(eval=[Example("q", 3, "r")]), r"eval\[0\]: answer is 3; expected text"),
        (bad(eval=[Example(" ", "3", "r")]), r"eval\[0\]: question is ' '; expected text"),
        (bad(train=[*TRAIN, Example("half \ud83d", "3", "r")]), r"train\[20\]: question holds half a character, '\\ud83d'"),
        (bad(train=[Example("q", "NaN", "r")]), r"train\[0\]: answer is 'NaN', which is no answer"),
        (bad(prompt_tokens=0), "prompt_tokens is 0; expected a number of tokens"),
        (bad(answer_tokens="9"), "answer_tokens is '9'; expected a number of tokens"),
        (bad(grade=3), "grade is 3; expected a function"),
        (bad(system=["be brief"]), r"system is \['be brief'\]; expected text or None"),
    ],
)
def test_what_is_no_task_is_one_line(found, value, message):
    with pytest.raises(UsageError, match=message) as caught:
        load_task(found(value))
    assert "\n" not in str(caught.value)


def test_a_usage_error_of_the_persons_own_is_left_as_it_is(found):
    def load(config):
        raise UsageError("set seed=1")

    with pytest.raises(UsageError, match=r"^set seed=1$"):
        load_task(found(load))


def test_with_a_grader_of_ones_own_any_text_is_an_answer():
    task = TaskData([Coded("Write f.", "", "", test="assert f(1) == 2")], [], 9, 9, grade=longest)
    assert load_task(TrainConfig(max_eval_samples=0), task=task).train[0].test == "assert f(1) == 2"


def test_the_usual_grader_compares_with_the_examples_answer():
    assert graded(grade_by_answer, "so #### 3", TRAIN[3]).correct
    assert not graded(grade_by_answer, "so #### 4", TRAIN[3]).correct


@pytest.mark.parametrize(
    ("grade", "message"),
    [
        (lambda response, example: 1.0, "gave 1.0; expected a cal_grpo.Grade"),
        (lambda response, example: 1 / 0, "failed on a response to 'q3' .ZeroDivisionError"),
        (lambda response: None, "failed on a response to 'q3' .TypeError"),
    ],
)
def test_a_grader_that_fails_is_one_line(grade, message):
    with pytest.raises(UsageError, match=f"the task's grader {message}"):
        graded(grade, "3", TRAIN[3])


def test_the_digest_changes_with_whatever_is_asked_shown_or_expected():
    others = [
        bad(),
        bad(train=TRAIN[1:]),
        bad(train=TRAIN[::-1]),
        bad(train=TRAIN + HELD_OUT, eval=[]),
        bad(train=[Example("q0", "0 ", "#### 0"), *TRAIN[1:]]),
        bad(train=[Example("q0", "0", "#### 0", (("system", "s"),)), *TRAIN[1:]]),
        bad(system="s"),
        bad(answer_format="s"),
    ]
    assert len({task.digest for task in others}) == len(others)
    assert bad().digest == bad(notes=("n",), grade=longest).digest


def test_the_example_of_the_docs_is_a_task():
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
    parts = {}
    exec(page.split("```python\n")[1].split("```")[0], parts)
    task = load_task(TrainConfig(), task=parts["load"](TrainConfig()))
    assert (len(task.train), len(task.eval)) == (2, 1)
    assert task.answer_format == "Write one word."
    river = task.eval[0]
    assert graded(task.grade, "Let me see.\nrevir\n", river).correct
    assert not graded(task.grade, "river", river).correct
    assert graded(task.grade, " ", river).method == "none"
