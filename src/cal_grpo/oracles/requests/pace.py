"""A steady pace: so many units a minute."""

_MARGIN = 0.98  # the server's clock is not ours: arrivals bunch a little
_BURST_S = 1.0


class Pace:
    """Spreads units evenly over time, after a second's worth at once.

    Taken one by one, any 60 seconds hold at most ``per_minute`` units: 98 % of it flow evenly, and a second's worth makes
    up the rest. So the pace suits servers that count in fixed minutes, in sliding ones, and in buckets that refill.
    """

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._due = float("-inf")  # when all units taken so far have flowed

    def wait_s(self, now: float) -> float:
        """Seconds until a unit may be taken; 0 or less: now."""
        return self._due - now

    def take(self, units: float, now: float) -> None:
        self._due = max(self._due, now - _BURST_S) + self._seconds(units)

    def correct(self, units: float) -> None:
        """So many more (or fewer) units were used than were taken."""
        self._due += self._seconds(units)

    def hold(self, until: float) -> None:
        """Nothing flows before then, and not all at once afterwards."""
        self._due = max(self._due, until)

    def _seconds(self, units: float) -> float:
        return units * 60.0 / (self.per_minute * _MARGIN)
