"""The one retry policy. The clients' own are off."""

import random
from dataclasses import dataclass, field

from cal_grpo.oracles.types import Tag, Verdict

LONGEST_REST_S = 120.0  # a server that wants a longer rest is not waited for
ATTEMPTS = 4
_PASSING = (Tag.RATE_LIMITED, Tag.UNAVAILABLE, Tag.TIMEOUT)


@dataclass
class Retry:
    """Tries again what may pass: rate limits, 5xx, time-outs and dropped connections; nothing else.

    A server that is away, because it restarts, is waited for by time. What went wrong at this question is tried four times.

    Attributes:
        attempts: calls for one question at most, for whatever reason; None: four, and to a server that is away as many as
            its time allows.
        first_s, longest_s: back-off after the first attempt, doubled after each further one up to the longest; a random
            half of it is taken off, so that questions that failed together do not come back together.
        patience_s: how long a question waits for a server that is away.
    """

    attempts: int | None = None
    first_s: float = 0.5
    longest_s: float = 30.0
    patience_s: float = 60.0
    _jitter: random.Random = field(default_factory=lambda: random.Random("oracle/back-off"), repr=False)

    def pause_s(self, verdict: Verdict, attempt: int, waited_s: float = 0.0) -> float | None:
        """Seconds to wait before the next attempt, never less than the server asked for; None: do not ask again.

        Args:
            verdict: what the attempt brought.
            attempt: its number, from 1.
            waited_s: since the question first failed.
        """
        asked_for, away = verdict.retry_after_s, verdict.tag is Tag.UNAVAILABLE
        if verdict.tag not in _PASSING or (asked_for or 0.0) > LONGEST_REST_S:
            return None
        if attempt >= (self.attempts or ATTEMPTS) and (self.attempts or not away):
            return None
        if away and waited_s >= self.patience_s:
            return None
        back_off = min(self.longest_s, self.first_s * 2 ** min(attempt - 1, 30)) * self._jitter.uniform(0.5, 1.0)
        if away:  # a last try when its time is up
            back_off = min(back_off, self.patience_s - waited_s)
        return back_off if asked_for is None else asked_for
