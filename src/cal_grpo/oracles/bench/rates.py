"""Shares and means with 95 % intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cal_grpo.intervals import Z, share


@dataclass(frozen=True, slots=True)
class Rate:
    """A share in [0, 1] and its 95 % interval; all None when there was nothing to count."""

    value: float | None
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}


NOTHING = Rate(None, None, None)


def wilson(successes: float, trials: float, independent: float | None = None) -> Rate:
    """A share with Wilson's score interval.

    Args:
        successes, trials: what was counted.
        independent: how many of the trials are independent, which decides the width; default all.
    """
    if not trials:
        return NOTHING
    n = independent or trials
    return Rate(*(round(bound, 4) for bound in share(min(successes / trials * n, n), n)))


def mean(values: Sequence[float], independent: int | None = None) -> Rate:
    """A mean of numbers in [0, 1] with the normal interval, cut to [0, 1]."""
    if not values:
        return NOTHING
    n = len(values)
    centre = sum(values) / n
    variance = sum((value - centre) ** 2 for value in values) / max(n - 1, 1)
    margin = Z * math.sqrt(variance / (independent or n))
    return Rate(round(centre, 4), round(max(0.0, centre - margin), 4), round(min(1.0, centre + margin), 4))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
