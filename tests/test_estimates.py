"""Estimates against enumeration, hand values and an independent bootstrap."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.grading import pass_at_k, powers_up_to
from cal_grpo.intervals import mean_share


@pytest.mark.parametrize("samples", range(1, 8))
def test_pass_at_k_is_the_share_of_all_draws_of_k_with_a_right_one(samples):
    for right in range(samples + 1):
        answers = [True] * right + [False] * (samples - right)
        for k in range(1, samples + 1):
            draws = list(itertools.combinations(answers, k))
            assert pass_at_k(samples, right, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-15)


def test_pass_at_k_by_hand():
    assert pass_at_k(4, 2, 2) == pytest.approx(5 / 6)  # of the six pairs, one has both wrong answers
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)
    assert pass_at_k(1000, 1, 999) == pytest.approx(0.999)


def test_pass_at_k_is_unbiased():
    """Averaged over all outcomes of 5 samples at 0.3, it is the chance of a right one among k."""
    p, n = 0.3, 5
    for k in (1, 2, 3, 5):
        outcomes = itertools.product([0, 1], repeat=n)
        mean = sum(p ** sum(o) * (1 - p) ** (n - sum(o)) * pass_at_k(n, sum(o), k) for o in outcomes)
        assert mean == pytest.approx(1 - (1 - p) ** k, abs=1e-12)


@pytest.mark.parametrize(("samples", "right", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5), (0, 0, 1)])
def test_pass_at_k_refuses_impossible_counts(samples, right, k):
    with pytest.raises(ValueError, match="expected 1 <= k <= samples"):
        pass_at_k(samples, right, k)


def test_the_k_worth_a_look():
    assert [powers_up_to(n) for n in (1, 2, 3, 8, 12)] == [[1], [1, 2], [1, 2, 3], [1, 2, 4, 8], [1, 2, 4, 8, 12]]


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # Wilson's interval; for 0 of n its upper end is z^2 / (n + z^2) = 3.8415 / 13.8415
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 2, 0.0945, 0.9055)],
)
def test_a_share_has_wilsons_interval(right, n, low, high):
    assert mean_share([1.0] * right + [0.0] * (n - right)) == pytest.approx((right / n, low, high), abs=5e-5)


def test_a_mean_of_shares_has_the_percentile_bootstrap():
    from scipy.stats import bootstrap

    values = [i % 5 / 4 for i in range(60)] + [0.0] * 20
    theirs = bootstrap((np.array(values),), np.mean, method="percentile", n_resamples=20_000, rng=1).confidence_interval
    estimate = mean_share(values)
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate[1:] == pytest.approx((theirs.low, theirs.high), abs=0.005)
    assert estimate == mean_share(values)  # its draws have a stream of their own


def test_values_that_do_not_differ_have_a_width_all_the_same():
    assert mean_share([0.5] * 4) == mean_share([0.0, 1.0, 0.0, 1.0])


def test_no_question_has_no_mean():
    with pytest.raises(ValueError, match="no values"):
        mean_share([])


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=6))
def test_an_interval_holds_its_value_and_keeps_to_shares(values):
    estimate = mean_share(values)
    assert 0 <= estimate.low <= estimate.value + 1e-12
    assert estimate.value - 1e-12 <= estimate.high <= 1
