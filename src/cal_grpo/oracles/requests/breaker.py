"""A circuit breaker: an oracle that fails time after time is left alone for a while."""

import math


class Breaker:
    """Opens after a run of failed questions; after a pause lets one question through, which decides.

    Args:
        failures: questions failed in a row that open it; 0: it never opens.
        pause_s: seconds between trials while it is open.

    Times are seconds of any monotonic clock.
    """

    def __init__(self, failures: int = 10, pause_s: float = 60.0) -> None:
        self.failures, self.pause_s = failures, pause_s
        self._run = 0
        self._next_trial: float | None = None  # None: closed

    @property
    def is_open(self) -> bool:
        return self._next_trial is not None

    def allows(self, now: float) -> bool:
        return self._next_trial is None or now >= self._next_trial

    def start(self, now: float) -> None:
        """A question is being asked; while open it is the trial, and no other is let through."""
        if self._next_trial is not None:
            self._next_trial = math.inf

    def finish(self, failed: bool, now: float) -> bool:
        """A question came to its end. Returns whether the breaker opened or closed by that."""
        was_open = self.is_open
        self._run = self._run + 1 if failed else 0
        if not failed:
            self._next_trial = None
        elif self.failures and self._run >= self.failures:
            self._next_trial = now + self.pause_s
        return self.is_open != was_open
