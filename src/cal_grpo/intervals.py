"""95 % intervals: of shares and their paired differences, of means, and over resampled values."""

import math
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

Z = 1.959963984540054  # two-sided 95 % of the normal distribution
_DRAWS = 10_000
_AT_ONCE = 10_000_000  # values that the bootstrap holds in memory


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def share(count: float, total: float, independent: float | None = None) -> Estimate:
    """``count`` of ``total``, with Wilson's score interval (JASA 22, 1927, 209-212).

    Its own code, for scipy's (``binomtest``) takes whole numbers only.

    Args:
        count, total: what was counted; fractions are welcome.
        independent: how many of ``total`` are independent, which decides the width; default all.

    Raises:
        ValueError: ``total`` is 0, or ``count`` is not in it.
    """
    if not 0 <= count <= total or total == 0:
        raise ValueError(f"got {count} of {total}; expected 0 <= count <= total and total > 0")
    p, n, z2 = count / total, independent or total, Z * Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Estimate(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def paired_difference(both: float, first: float, second: float, neither: float) -> Estimate:
    """Share right in the first minus share right in the second, answers to the same questions.

    Newcombe's method 10 (Statistics in Medicine 17, 1998, 2635-2650): the two Wilson intervals, joined with the paired
    answers' correlation, whose numerator is corrected for continuity. It needs no draws, keeps to [-1, 1] and does not
    shrink to nothing when no answer differs. scipy has none for a paired difference.

    Args:
        both, first, second, neither: questions that both, only the first, only the second, or neither answered rightly.
            Fractions are welcome.

    Raises:
        ValueError: there is no question.
    """
    total = both + first + second + neither
    one, two = share(both + first, total), share(both + second, total)
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    correlation = 0.0
    if margins:
        product = both * neither - first * second
        corrected = max(product - total / 2, 0.0) if product > 0 else float(product)
        correlation = corrected / math.sqrt(margins)
    difference = one.value - two.value

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * correlation * a * b + b * b, 0.0))

    low = difference - reach(one.value - one.low, two.high - two.value)
    high = difference + reach(one.high - one.value, two.value - two.low)
    return Estimate(difference, low, high)


def mean(values: Sequence[float]) -> Estimate:
    """The mean of independent values with Student's t interval; of one value, nothing is known about its spread.

    Raises:
        ValueError: there is none.
    """
    n = len(values)
    if not n:
        raise ValueError("got no values; expected at least one")
    centre = sum(values) / n
    if n == 1:
        return Estimate(centre, math.nan, math.nan)
    from scipy.stats import t

    half = float(t.ppf(0.975, n - 1)) * math.sqrt(sum((v - centre) ** 2 for v in values) / (n - 1) / n)
    return Estimate(centre, centre - half, centre + half)


def mean_share(values: Sequence[float]) -> Estimate:
    """The mean over questions of values in [0, 1], with its interval over questions.

    Where every value is 0 or 1, the mean is a share and the interval is Wilson's. Otherwise it is the percentile
    bootstrap's (Efron, Annals of Statistics 7, 1979, 1-26), which needs values that differ; without any, Wilson's again,
    which is on the safe side, for no value in [0, 1] varies more than a yes or no of the same mean.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("got no values; expected at least one")
    n, centre = len(values), math.fsum(values) / len(values)
    if set(values) <= {0.0, 1.0} or len(set(values)) == 1:
        return share(centre * n, n)
    from scipy.stats import bootstrap

    rng = np.random.default_rng(random.Random("bootstrap").getrandbits(64))
    drawn = bootstrap(
        (np.sort(values),), np.mean, method="percentile", n_resamples=_DRAWS, batch=max(1, _AT_ONCE // n), rng=rng
    ).confidence_interval
    return Estimate(centre, float(drawn.low), float(drawn.high))


def normal_mean(values: Sequence[float], independent: int | None = None) -> Estimate:
    """A mean of numbers in [0, 1] with the normal interval, cut to [0, 1].

    Args:
        values: at least one.
        independent: how many of them are independent, which decides the width; default all.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("got no values; expected at least one")
    n = len(values)
    centre = sum(values) / n
    variance = sum((value - centre) ** 2 for value in values) / max(n - 1, 1)
    half = Z * math.sqrt(variance / (independent or n))
    return Estimate(centre, max(0.0, centre - half), min(1.0, centre + half))


def two_way_mean(values_SQ: np.ndarray) -> Estimate:
    """The mean over seeds and questions, with the percentile bootstrap over both: each draw takes seeds and questions anew.

    scipy's bootstrap resamples along one axis.

    Args:
        values_SQ: float64 (seeds, questions).
    """
    seeds_DS, questions_DQ = _resampled(*values_SQ.shape)
    means_D = ((seeds_DS @ values_SQ) * questions_DQ).sum(axis=1) / values_SQ.size
    return of_draws(float(values_SQ.mean()), means_D)


def of_draws(value: float, draws_D: Sequence[float] | np.ndarray) -> Estimate:
    """A value with the percentile interval of what it was in resamples."""
    return Estimate(value, *map(float, np.percentile(draws_D, [2.5, 97.5])))


@lru_cache(maxsize=8)  # all comparisons of a table have one of a few shapes
def _resampled(seeds: int, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each draw takes each seed and each question: float64 (draws, seeds), (draws, questions)."""
    rng = np.random.default_rng(0)
    drawn_DQ, drawn_DS = np.empty((_DRAWS, questions)), np.empty((_DRAWS, seeds))
    for draw in range(_DRAWS):
        drawn_DQ[draw] = np.bincount(rng.integers(0, questions, questions), minlength=questions)
        drawn_DS[draw] = np.bincount(rng.integers(0, seeds, seeds), minlength=seeds)
    return drawn_DS, drawn_DQ
