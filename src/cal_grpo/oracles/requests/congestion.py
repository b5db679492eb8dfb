"""What a server's refusals teach: when to rest, and how fast it lets us."""

import math
from collections import deque

from cal_grpo.oracles.requests.pace import Pace

_WINDOW_S = 60.0  # the memory of calls: limits are given per minute
_LONG_REST_S = 5.0
_FIRST_REST_S, _LONGEST_REST_S = 0.1, 30.0
_PATIENT = 1000  # accepted calls, and two minutes, after which it grows ever faster
_RECENT_S = 2.5
_QUICK = 1200.0  # calls a minute that hardly hold up a judge that takes a second or more
_STUBBORN = 20  # refusals close together: going slower does not help
_NEARLY, _HALF = 0.95, 0.5  # what is left of the pace after a refusal
_MANY = 100  # calls accepted since the refusal before: the pace was nearly right
_CYCLE = 500  # accepted calls, or those of a minute, in which the pace grows back by what a refusal took


class Congestion:
    """Unlimited until the first 429, which stops all calls for as long as the server says.

    A refusal also sets a pace: what the server accepted in the last minute, where it orders a long rest; else the pace of
    before. Every later one lowers it, by half when it comes soon, but not below what was accepted lately. It grows back in
    500 calls or a minute, and ever faster after that, so that a limit is met again rarely and a limit that is lifted is found
    out. Refusals of less than half of the calls that go on at any pace are no limit: the pace is given up for a minute.
    """

    def __init__(self) -> None:
        self.blocked_until = -math.inf
        self._pace: Pace | None = None
        self._starts: deque[float] = deque()  # of the calls of the last minute,
        self._refusals: deque[float] = deque()  # and of those among them that were refused
        self._lesson = -math.inf  # the last refusal of a call that started after the one before it
        self._lowered: float | None = None  # calls a minute that were left of the pace then
        self._since = 0  # calls accepted since then
        self._in_a_row = 0
        self._crowded = 0  # lessons close together
        self._free_since: float | None = None  # the pace was given up then,
        self._free_refusals = 0  # and so many calls were refused from then on;
        self._paced_until = -math.inf  # not again before then, for it was a limit after all

    def wait_s(self, now: float) -> float:
        """Seconds until a call may start; 0 or less: it may now."""
        wait = self.blocked_until - now
        return wait if self._pace is None else max(wait, self._pace.wait_s(now))

    def start(self, now: float) -> None:
        """A call starts."""
        self._forget(now)
        self._starts.append(now)
        if self._pace is not None:
            self._pace.take(1, now)

    def block(self, until: float) -> None:
        """No call before then."""
        self.blocked_until = max(self.blocked_until, until)
        if self._pace is not None:
            self._pace.hold(until)

    def accepted(self, now: float) -> None:
        """The server took a call."""
        self._in_a_row = 0
        self._since += 1
        if self._pace is not None:
            # Not faster than a server that counts in minutes can say that it is too fast.
            growth = (1 - _NEARLY) / max(_CYCLE, self._pace.per_minute)
            patience = min(self._since / _PATIENT, (now - self._lesson) / (2 * _WINDOW_S))
            self._pace.per_minute *= 1 + growth * max(1.0, patience**3)

    def refused(self, started: float, now: float, retry_after_s: float | None) -> None:
        """The server refused a call that started then."""
        self._refusals.append(started)
        self._forget(now)
        if started > self._lesson:  # what started before only refines what the lesson taught
            self._in_a_row += 1
            self._crowded = self._crowded + 1 if self._since < _MANY and now - self._lesson < _WINDOW_S else 0
            if self._crowded >= _STUBBORN and now >= self._paced_until:
                self._pace, self._lowered, self._free_since, self._free_refusals = None, None, now, 0
            if self._pace is not None:
                self._lowered = self._pace.per_minute * (_HALF if self._crowded else _NEARLY)
            self._lesson, self._since = now, 0
        rest_s = retry_after_s
        if rest_s is None:
            rest_s = min(_LONGEST_REST_S, _FIRST_REST_S * 2 ** max(self._in_a_row - 1, 0))
        if self._free_since is not None:
            self._check_freedom(now)
        else:
            self._set_pace(now, rest_s if rest_s > _LONG_REST_S else 0.0)
        self.block(now + rest_s)

    def _check_freedom(self, now: float) -> None:
        assert self._free_since is not None
        self._free_refusals += 1
        starts = sum(t >= self._free_since for t in self._starts)
        if self._free_refusals > _STUBBORN and self._free_refusals > starts / 2:
            self._free_since, self._paced_until = None, now + 10 * _WINDOW_S
        elif now > self._free_since + _WINDOW_S:
            self._free_since = None

    def _set_pace(self, now: float, rest_s: float) -> None:
        seconds = max(now - self._starts[0], 1.0) + rest_s if self._starts else _WINDOW_S
        accepted = (len(self._starts) - len(self._refusals)) / seconds
        recent = sum(t >= now - _RECENT_S for t in self._starts) - sum(t >= now - _RECENT_S for t in self._refusals)
        if recent > 0 and not rest_s:  # a burst may have been accepted before, at once
            accepted = min(accepted, recent / min(seconds, _RECENT_S))
        floor = max(_NEARLY * accepted * 60, 1.0)
        if self._lowered is None:  # no pace yet: a long rest tells it; else as before, but not all at once
            self._pace = Pace(floor if rest_s else max(60 * len(self._starts) / seconds, _QUICK))
        elif self._pace is not None:
            self._pace.per_minute = max(floor, self._lowered)

    def _forget(self, now: float) -> None:
        for times in (self._starts, self._refusals):
            while times and times[0] < now - _WINDOW_S:
                times.popleft()
