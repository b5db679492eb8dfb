import itertools

import pytest
from transformers import AutoTokenizer

from cal_grpo.engines.tunix.models import render
from cal_grpo.engines.tunix.rollouts import batches, fitting
from cal_grpo.errors import UsageError
from cal_grpo.policies import EMBEDDED
from cal_grpo.tasks.types import Example


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
    for prompt, question, answer, reference in zip(
        *(batch[c] for c in ("prompts", "question", "answer", "reference")), strict=True
    ):
        assert prompt == f"prompt {question}"
        assert reference == f"#### {answer}"
        assert "abcd"[int(answer)] == question
