import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from cal_grpo.intervals import mean, normal_mean, paired_difference, share, two_way_mean

COUNTS = st.tuples(*[st.integers(0, 40)] * 4).filter(sum)


def test_wilson_s_interval_solves_its_equation():
    # Its ends are the p at which |count/n - p| is z standard errors of p itself.
    for count, total in ((0, 10), (3, 10), (81, 263), (64, 64)):
        found = share(count, total)
        for p in (found.low, found.high):
            if 0 < p < 1:
                assert abs(count / total - p) == pytest.approx(1.959963985 * math.sqrt(p * (1 - p) / total), rel=1e-6)
    assert share(0, 10).low == 0
    assert share(64, 64).high == 1


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_of_whole_numbers_it_is_scipy_s_interval(counts):
    theirs = binomtest(*counts).proportion_ci(method="wilson")
    assert share(*counts)[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_what_is_not_independent_widens_the_interval():
    # Half of 200 with 50 independent ones has the interval of 25 of 50; fractions are shares too.
    assert share(100, 200, 50) == share(25, 50)
    assert share(0.5, 2.5, 10) == share(2, 10)


def test_newcombe_s_paired_interval_of_a_published_table():
    # 36, 12, 2, 0 of 50: the difference 0.2 has the interval 0.0569 to 0.3404 (Statistics in Medicine 17, 2635-2650).
    assert paired_difference(36, 12, 2, 0) == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-5)


def test_the_correlation_is_corrected_for_continuity_where_it_is_positive():
    # 20, 12, 2, 16: phi = (20 * 16 - 12 * 2 - 25) / sqrt(32 * 18 * 22 * 28) by hand, and the two Wilson intervals.
    one, two, phi = share(32, 50), share(22, 50), 271 / math.sqrt(32 * 18 * 22 * 28)
    a, b = one.value - one.low, two.high - two.value
    low = 0.2 - math.sqrt(a * a - 2 * phi * a * b + b * b)
    assert paired_difference(20, 12, 2, 16).low == pytest.approx(low)


@given(COUNTS)
def test_the_interval_holds_the_difference_and_turns_with_the_pair(counts):
    both, first, second, neither = counts
    found = paired_difference(*counts)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.value == pytest.approx((first - second) / sum(counts))
    assert paired_difference(both, second, first, neither) == pytest.approx((-found.value, -found.high, -found.low))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(random.Random("tests/intervals").getrandbits(64))
    shares = (0.55, 0.2, 0.1, 0.15)
    hits = [low <= 0.1 <= high for _, low, high in (paired_difference(*rng.multinomial(80, shares)) for _ in range(2000))]
    assert 0.93 < np.mean(hits) < 0.98  # 0.95 +- 3 standard errors is 0.935 to 0.965; the method errs on the wide side


def test_a_mean_over_seeds_has_student_s_interval_and_one_seed_has_none():
    # 1, 2, 3: mean 2, standard error 1/sqrt(3), t with two degrees of freedom 4.3027.
    assert mean([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), rel=1e-6)
    alone = mean([0.5])
    assert alone.value == 0.5
    assert math.isnan(alone.low)


def test_a_normal_mean_by_hand_keeps_to_shares():
    # 0.4 and 0.6: variance 0.02, two values: 1.96 * 0.1 each way; of eight values alike, half of what two give.
    assert normal_mean([0.4, 0.6]) == pytest.approx((0.5, 0.304, 0.696), abs=1e-4)
    assert normal_mean([0.4, 0.6], independent=8) == pytest.approx((0.5, 0.402, 0.598), abs=1e-4)
    assert normal_mean([0.0, 1.0]) == (0.5, 0, 1)
    assert normal_mean([0.3]) == (0.3, 0.3, 0.3)


def test_a_two_way_mean_covers_the_truth_of_new_seeds_and_new_questions():
    # Effects of seeds and questions with a mean of 0.2 in all; either alone would make too narrow an interval.
    rng = np.random.default_rng(random.Random("tests/two-way").getrandbits(64))
    hits = []
    for _ in range(150):
        values = 0.2 + rng.normal(0, 0.1, (20, 1)) + rng.normal(0, 0.4, (1, 30)) + rng.normal(0, 0.3, (20, 30))
        found = two_way_mean(values)
        assert found.value == pytest.approx(values.mean())
        hits.append(found.low <= 0.2 <= found.high)
    assert 0.88 < np.mean(hits) <= 1  # 0.95 - 4 standard errors of 0.018; resampling both errs on the wide side
    assert two_way_mean(np.full((3, 4), 0.5)) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    "call",
    [
        lambda: share(1, 0),
        lambda: share(3, 2),
        lambda: paired_difference(0, 0, 0, 0),
        lambda: mean([]),
        lambda: normal_mean([]),
    ],
)
def test_nothing_to_estimate_is_an_error(call):
    with pytest.raises(ValueError, match="got"):
        call()
