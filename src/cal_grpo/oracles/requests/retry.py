"""The one retry policy. The clients' own are off."""

import random
from dataclasses import dataclass, field

from cal_grpo.oracles.types import Tag, Verdict

PATIENCE_S = 120.0  # a server that wants a longer rest is not waited for
_PASSING = (Tag.RATE_LIMITED, Tag.UNAVAILABLE, Tag.TIMEOUT)


@dataclass
class Retry:
    """Tries again what may pass: rate limits, 5xx, time-outs and dropped connections; nothing else.

    Attributes:
        attempts: calls for one question at most.
        first_s, longest_s: back-off after the first attempt, doubled after each further one up to the longest; a random
            half of it is taken off, so that questions that failed together do not come back together.
    """

    attempts: int = 4
    first_s: float = 0.5
    longest_s: float = 30.0
    _jitter: random.Random = field(default_factory=lambda: random.Random("oracle/back-off"), repr=False)

    def pause_s(self, verdict: Verdict, attempt: int) -> float | None:
        """Seconds to wait before the next attempt, never less than the server asked for; None: do not ask again.

        Args:
            verdict: what the attempt brought.
            attempt: its number, from 1.
        """
        asked_for = verdict.retry_after_s
        if verdict.tag not in _PASSING or attempt >= self.attempts or (asked_for or 0.0) > PATIENCE_S:
            return None
        back_off = min(self.longest_s, self.first_s * 2 ** (attempt - 1)) * self._jitter.uniform(0.5, 1.0)
        return back_off if asked_for is None else asked_for
