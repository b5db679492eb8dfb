import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.tasks.ledger import stories
from cal_grpo.tasks.split import split_of


@given(seed=st.integers(0, 10_000), steps=st.integers(1, 16))
def test_every_reference_is_a_chain_of_true_equations_that_ends_in_the_answer(seed, steps):
    example = next(stories(seed=seed, steps=steps, split="train"))
    *equations, last = example.reference.splitlines()
    assert len(equations) == steps
    total = None
    for equation in equations:
        left, sign, right, result = re.fullmatch(r"(\d+)([+-])(\d+)=(\d+)", equation).groups()
        assert total is None or int(left) == total
        total = int(left) + (int(right) if sign == "+" else -int(right))
        assert total == int(result)
        assert 0 <= total <= 199
        assert f"{right} " in example.question or f"{right}." in example.question
    assert last == f"#### {total}"
    assert example.answer == str(total)


def test_training_and_held_out_questions_share_no_text_whatever_the_seeds():
    train = {e.question for s in range(3) for e in itertools.islice(stories(seed=s, steps=2, split="train"), 2000)}
    held_out = {e.question for s in range(3) for e in itertools.islice(stories(seed=s, steps=2, split="eval"), 500)}
    assert not train & held_out
    assert all(split_of(q) == "train" for q in train)


def test_the_same_seed_tells_the_same_stories():
    first, again = ([e.question for e in itertools.islice(stories(seed=7, steps=8, split="eval"), 20)] for _ in "ab")
    assert first == again


def test_asides_carry_a_number_that_the_reference_does_not_use():
    many = list(itertools.islice(stories(seed=0, steps=4, split="train"), 400))
    with_aside = [e for e in many if e.question.count(".") == 6]
    assert 60 < len(with_aside) < 140  # a quarter of 400, give or take


def test_a_chain_longer_than_the_amounts_is_refused():
    with pytest.raises(ValueError, match=r"1\.\.40"):
        next(stories(seed=0, steps=41, split="train"))
