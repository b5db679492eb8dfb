"""Numbers as they are found in a run's files."""

from typing import Any

_LARGEST = 1e100


def finite(value: Any) -> float | None:
    """A number that can be drawn, or None: text, infinities, and numbers so large that sums of them are infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _LARGEST else None  # also False for NaN
