import copy
import itertools

import pytest
from transformers import AutoTokenizer

from cal_grpo.engines.tunix.models import render
from cal_grpo.engines.tunix.rollouts import batches, fitting, prompts_of
from cal_grpo.errors import UsageError
from cal_grpo.policies import EMBEDDED
from cal_grpo.tasks import Example, TaskData


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(EMBEDDED)


def examples(*questions):
    return [Example(question, str(i), f"#### {i}") for i, question in enumerate(questions)]


def test_a_prompt_over_the_limit_is_skipped_whole_and_counted(tokenizer):
    short, long = "How many?", "How many? " * 30
    limit = len(tokenizer.encode(render(short, tokenizer)))
    kept, skipped = fitting(examples(short, long, short), tokenizer, limit, "training")
    assert [example.question for _, example in kept] == [short, short]
    assert skipped == 1
    assert kept[0][0].endswith("<|im_start|>assistant\n")  # the template is never cut
    with pytest.raises(UsageError, match=f"all 1 training prompts are longer than rollout.max_prompt_tokens={limit}; raise it"):
        fitting(examples(long), tokenizer, limit, "training")


THINKING = (
    "{%- for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{%- endfor %}<assistant>"
    "{%- if enable_thinking is defined and not enable_thinking %}<think></think>{%- endif %}"
)


def shown(tokenizer, task, **arguments):
    (pair,), _ = fitting(task.train, tokenizer, 1000, "training", prompts_of(task, tokenizer, arguments))
    return pair[0]


def test_nothing_set_leaves_a_prompt_as_it_was(tokenizer):
    task = TaskData(examples("How many?"), [], 9, 9)
    assert shown(tokenizer, task) == render("How many?", tokenizer)
    assert render("How many?", tokenizer) == "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"


def test_prompts_and_arguments_reach_the_chat_template(tokenizer):
    task = TaskData(examples("How many?"), [], 9, 9, system="Be brief.", answer_format="Use #### x.")
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = THINKING
    assert shown(tokenizer, task) == "<system>Be brief.<user>How many?\n\nUse #### x.<assistant>"
    assert shown(tokenizer, task, enable_thinking=False).endswith("<assistant><think></think>")
    with pytest.raises(UsageError, match=r"does not read 'enable_thought'; correct chat.template_arguments"):
        shown(tokenizer, task, enable_thought=False)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('System role not supported') }}", r"fails \(System role not supported\)"),
        ("{% for m in messages %}{{ m['content'] }}", "fails .*'endfor'"),
        ("{{ messages[0]['no'].such }}", "fails"),
        ("{% for m in messages if m['role'] == 'user' %}{{ m['content'] }}{% endfor %}", "leaves the system message out"),
    ],
)
def test_a_template_that_fails_or_drops_the_system_message_is_one_line(tokenizer, template, message):
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = template
    with pytest.raises(UsageError, match=f"its chat template {message}") as caught:
        shown(tokenizer, TaskData(examples("How many?"), [], 9, 9, system="Be brief."))
    assert "\n" not in str(caught.value)


def test_data_shorter_than_the_run_is_reshuffled_and_repeated():
    pairs = [(e.question, e) for e in examples(*"abcdef")]
    stream = itertools.chain.from_iterable(batch["question"].tolist() for batch in batches(pairs, 4, seed=0))
    passes = [list(itertools.islice(stream, 6)) for _ in range(4)]
    assert all(sorted(one) == list("abcdef") for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_the_order_depends_on_the_seed_alone():
    pairs = [(e.question, e) for e in examples(*"abcdef")]
    first, again, other = (
        [batch["question"].tolist() for batch in itertools.islice(batches(pairs, 4, seed=seed), 5)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_batch_keeps_question_answer_and_reference_together():
    pairs = [(f"prompt {e.question}", e) for e in examples(*"abcd")]
    batch = next(batches(pairs, 4, seed=0))
    for prompt, question, answer, reference, example in zip(
        *(batch[c] for c in ("prompts", "question", "answer", "reference", "example")), strict=True
    ):
        assert example == Example(question, answer, reference)
        assert prompt == f"prompt {question}"
        assert reference == f"#### {answer}"
        assert "abcd"[int(answer)] == question
