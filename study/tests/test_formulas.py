"""The study's own formulas: an invention that lost, and the controls."""

import numpy as np
import pytest

from cal_grpo.alignment import TokenSpan
from cal_grpo.credit import Batch, Weights, assign_credit
from cal_grpo.errors import UsageError
from study.formulas import NAMES, formula_of


def span(start, end):
    return TokenSpan(start, end, char_start=0, char_end=1, method="exact", score=1.0)


def batch(rewards, lengths, spans, group_size, step_ends=None, rng=None):
    rewards_B = np.array(rewards, np.float32)
    ends = None if step_ends is None else [np.array(row) for row in step_ends]
    rng = rng or np.random.default_rng(0)
    return Batch(rewards_B, rewards_B == 1, np.array(lengths), spans, group_size, step_ends=ends, rng=rng)


def credit_of(name, b):
    return assign_credit(formula_of(name), b, Weights(), [None] * len(b.spans))


def test_names():
    assert {"prefix", "grpo", "survival", "random_span", "shuffled_verdict"} < set(NAMES)
    with pytest.raises(UsageError, match="did you mean 'prefix'"):
        formula_of("prefx")


def test_survival_needs_steps():
    with pytest.raises(ValueError, match="needs the steps"):
        credit_of("survival", batch([1, 0], [3, 5], [None, span(2, 4)], 2))


def test_survival_of_one_right_and_one_wrong_answer():
    # Steps [0,1) [1,3) and [0,2) [2,4) [4,5). Both survive step 0 (hazard 0), one of two fails in step 1 (hazard 1/2):
    # V_0 = V_1 = 0.5, V_2 = 1. The survivor gains 0.5 in step 1, the other loses V_1.
    pair = batch([1, 0], [3, 5], [None, span(2, 4)], 2, [[1, 3], [2, 4, 5]])
    np.testing.assert_allclose(credit_of("survival", pair), [[0, 0.5, 0.5, 0, 0], [0, 0, -0.5, -0.5, 0]], atol=1e-6)


def test_survival_follows_the_hazard_of_every_step():
    # Four answers of three steps, a token each; one fails in step 0, one in step 2: hazards 1/4, 0, 1/3.
    # V_0 = 3/4 * 2/3 = 1/2, V_1 = V_2 = 2/3, V_3 = 1.
    four = batch([1, 0, 0, 1], [3] * 4, [None, span(0, 1), span(2, 3), None], 4, [[1, 2, 3]] * 4)
    advantages_BT = credit_of("survival", four)
    survivor = [2 / 3 - 1 / 2, 0, 1 / 3]
    np.testing.assert_allclose(advantages_BT, [survivor, [-1 / 2, 0, 0], [1 / 6, 0, -2 / 3], survivor], rtol=1e-6, atol=1e-7)


def test_survival_sums_to_zero_over_a_group():
    # Differences of values telescope to outcome - V_0, and V_0 is the share of right answers: steps of one token.
    rng = np.random.default_rng(3)
    spans = [span(k, k + 1) if (k := int(rng.integers(0, 8))) < 6 else None for _ in range(16)]
    many = batch([float(s is None) for s in spans], [6] * 16, spans, 16, [[1, 2, 3, 4, 5, 6]] * 16)
    advantages_BT = credit_of("survival", many)
    share = np.mean([s is None for s in spans])
    np.testing.assert_allclose(advantages_BT.sum(axis=1), [float(s is None) - share for s in spans], atol=1e-6)


def test_shuffled_verdicts_are_the_other_answers_places():
    # Errors at 0 of 10 and at 5 of 10 tokens change places; lengths stay.
    two = batch([0, 0], [10, 10], [span(0, 2), span(5, 8)], 2)
    advantages_BT = credit_of("shuffled_verdict", two)
    assert [np.flatnonzero(row < 0).tolist() for row in advantages_BT] == [[5, 6], [0, 1, 2]]


def test_random_span_keeps_length_and_is_reproducible():
    wrong = [batch([0, 0], [9, 9], [span(2, 5), span(0, 2)], 2, rng=np.random.default_rng(5)) for _ in "ab"]
    first, again = (credit_of("random_span", b) for b in wrong)
    np.testing.assert_array_equal(first, again)
    assert [(row < 0).sum() for row in first] == [3, 2]
