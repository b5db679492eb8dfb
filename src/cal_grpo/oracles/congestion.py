"""What a server's refusals teach: when to rest, and how fast it lets us."""

import math
from collections import deque

from cal_grpo.oracles.pace import Pace

_WINDOW_S = 60.0  # the memory of calls: limits are given per minute
_BACK_OFF = 0.95  # of the rate that was accepted
_GROWTH, _QUICK_GROWTH = 1e-4, 1e-3  # of the rate, with each accepted call; quick after a minute without a refusal
_FIRST_REST_S, _LONGEST_REST_S = 0.5, 30.0


class Congestion:
    """Unlimited until the first 429. That stops all calls for as long as the server says, and sets a pace.

    The pace is 95 % of the rate that the server accepted up to the refusal, the rest it ordered included. It grows
    slowly, so that the limit is met again only once in some five hundred calls.
    """

    def __init__(self) -> None:
        self.blocked_until = -math.inf
        self._pace: Pace | None = None
        self._began: float | None = None
        self._starts: deque[float] = deque()  # of the calls of the last minute,
        self._refusals: deque[float] = deque()  # and of those among them that were refused
        self._lesson = -math.inf  # when the pace was last lowered
        self._ceiling = math.inf  # calls a minute at most since then
        self._in_a_row = 0

    def wait_s(self, now: float) -> float:
        """Seconds until a call may start; 0 or less: now."""
        wait = self.blocked_until - now
        return wait if self._pace is None else max(wait, self._pace.wait_s(now))

    def start(self, now: float) -> None:
        """A call starts."""
        if self._began is None:
            self._began = now
        self._starts.append(now)
        if self._pace is not None:
            self._pace.take(1, now)

    def block(self, until: float) -> None:
        """No call before then."""
        self.blocked_until = max(self.blocked_until, until)

    def accepted(self, now: float) -> None:
        """The server took a call."""
        self._in_a_row = 0
        self._forget(now)
        if self._pace is not None:
            self._pace.per_minute *= 1 + (_QUICK_GROWTH if now - self._lesson > _WINDOW_S else _GROWTH)

    def refused(self, started: float, now: float, retry_after_s: float | None) -> None:
        """The server refused a call that started then."""
        self._refusals.append(started)
        self._forget(now)
        is_news = started > self._lesson  # calls sent before the last lesson only refine it
        if is_news:
            self._lesson = now
            self._in_a_row += 1
            self._ceiling = math.inf if self._pace is None else self._pace.per_minute * _BACK_OFF
        rest_s = retry_after_s
        if rest_s is None:
            rest_s = min(_LONGEST_REST_S, _FIRST_REST_S * 2 ** max(self._in_a_row - 1, 0))
        self.block(now + rest_s)
        seconds = min(now - (now if self._began is None else self._began), _WINDOW_S) + rest_s
        accepted = len(self._starts) - len(self._refusals)
        learnt = _BACK_OFF * accepted * 60 / max(seconds, 0.1)
        if self._pace is None:
            self._pace = Pace(1.0)
        self._pace.per_minute = max(min(learnt, self._ceiling), 1.0)

    def _forget(self, now: float) -> None:
        for times in (self._starts, self._refusals):
            while times and times[0] < now - _WINDOW_S:
                times.popleft()
