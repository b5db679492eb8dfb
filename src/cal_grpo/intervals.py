"""95 % intervals for shares and their paired differences."""

import math
from collections.abc import Sequence
from typing import NamedTuple

Z = 1.959963984540054  # two-sided 95 % of the normal distribution


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def share(count: float, total: float) -> Estimate:
    """``count`` of ``total``, with Wilson's score interval (JASA 22, 1927, 209-212).

    Raises:
        ValueError: ``total`` is 0, or ``count`` is not in it.
    """
    if not 0 <= count <= total or total == 0:
        raise ValueError(f"got {count} of {total}; expected 0 <= count <= total and total > 0")
    p, z2 = count / total, Z * Z
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = Z * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return Estimate(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def paired_difference(both: int, first: int, second: int, neither: int) -> Estimate:
    """Share right in the first minus share right in the second, answers to the same questions.

    Newcombe's method 10 (Statistics in Medicine 17, 1998, 2635-2650): the two Wilson intervals, joined with the paired
    answers' correlation, whose numerator is corrected for continuity. It needs no draws, keeps to [-1, 1] and does not
    shrink to nothing when no answer differs.

    Args:
        both, first, second, neither: questions that both, only the first, only the second, or neither answered rightly.

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
