"""How fast an oracle may be asked: at the user's limits, and at what the server's refusals teach."""

from typing import Self

from cal_grpo.oracles.requests.congestion import Congestion
from cal_grpo.oracles.requests.pace import Pace
from cal_grpo.oracles.types import Tag, Usage, Verdict

_FIRST_GUESS = 1000.0  # tokens of a call before any was measured


class Limits:
    """Requests and tokens a minute, as measured.

    Args:
        rpm, tpm: requests and tokens (prompt and completion) a minute at most; None: as fast as the server allows.

    A call's tokens are known only afterwards. It starts with the mean of the calls before it, and is corrected when it
    ends. Times are seconds of any monotonic clock.
    """

    def __init__(self, rpm: float | None = None, tpm: float | None = None) -> None:
        self._requests = Pace(rpm) if rpm else None
        self._tokens = Pace(tpm) if tpm else None
        self._congestion = Congestion()
        self._measured = Usage()

    def beside(self) -> Self:
        """Limits of another oracle: the same paces, used together; what its server's refusals teach is its own."""
        other = type(self)()
        other._requests, other._tokens = self._requests, self._tokens
        return other

    def wait_s(self, now: float) -> float:
        """Seconds until a call may start; 0 or less: it may now."""
        paces = (self._requests, self._tokens, self._congestion)
        return max(pace.wait_s(now) for pace in paces if pace is not None)

    def blocked_s(self, now: float) -> float:
        """Seconds for which the server asked to be left alone."""
        return self._congestion.blocked_until - now

    def start(self, now: float) -> float:
        """A call starts. Returns the tokens that are set aside for it, for ``finish``."""
        expected = self._measured.tokens / self._measured.calls if self._measured.calls else _FIRST_GUESS
        self._congestion.start(now)
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(expected, now)
        return expected

    def finish(self, verdict: Verdict, expected_tokens: float, started: float, now: float) -> None:
        """A call that started then has ended so."""
        usage = verdict.usage
        if self._requests is not None:
            self._requests.correct(usage.calls - 1)  # a free answer, or one made of several calls
        if self._tokens is not None:
            self._tokens.correct(usage.tokens - expected_tokens)
        if verdict.tag is Tag.RATE_LIMITED:
            self._congestion.refused(started, now, verdict.retry_after_s)
            return
        if verdict.retry_after_s is not None:
            self._congestion.block(now + verdict.retry_after_s)
        if usage.calls:
            self._congestion.accepted(now)
            if usage.tokens:
                self._measured += usage
