"""Calls of one oracle: in turn, within what all share, tried again where that may help, and none to one that is dead."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from cal_grpo.errors import UsageError
from cal_grpo.oracles.protocol import Oracle, ask
from cal_grpo.oracles.requests.allowance import Allowance
from cal_grpo.oracles.requests.aside import Aside
from cal_grpo.oracles.requests.breaker import Breaker
from cal_grpo.oracles.requests.retry import LONGEST_REST_S, Retry
from cal_grpo.oracles.types import Query, Tag, Usage, Verdict

_UNHEARD = (Tag.REJECTED, Tag.UNAVAILABLE, Tag.TIMEOUT, Tag.RATE_LIMITED, Tag.OVER_BUDGET, Tag.CIRCUIT_OPEN)
Keep = Callable[[Verdict], Awaitable[None]]
_LONGEST_NAP_S = 1.0  # whoever waits for a pace looks up at times: the breaker may have opened, the budget be spent


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt at a question: a call's outcome, or why there was none.

    Attributes:
        verdict: with the usage of this call alone.
        number: of the call, from 1; of the one before, where there was none.
        made: whether a call was made.
        last: whether this is the answer.
    """

    verdict: Verdict
    number: int
    made: bool
    last: bool


@dataclass(slots=True)
class _Asked:
    """What became of a question so far.

    Attributes:
        usage: of all its calls.
        calls: how many were made.
        tries: of these, those that failed for no fault of a setting's, or did not fail.
        again: how often its quote was asked for once more.
        before: the answer whose quote was of no use.
        first_failed: when a call first failed.
        kept: whether the last call's answer is safe, as far as it is for keeping.
    """

    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    tries: int = 0
    again: int = 0
    before: Verdict | None = None
    first_failed: float | None = None
    kept: bool = True

    def note(self, verdict: Verdict, now: float) -> None:
        """A call came to its end."""
        self.usage += verdict.usage
        self.calls += 1
        self.tries += verdict.again != "settings"
        if verdict.tag.is_failure and self.first_failed is None:
            self.first_failed = now


class Caller:
    """Asks one oracle, which costs something.

    Args:
        oracle: who is asked.
        label: what to call it when something is told.
        allowance: shared with all others; refusals of its server are its own.
        retry, breaker: see there.
        timeout_s: what one call may take.
        tell: hears, in one line and once, when the oracle is left alone, and when it answers again.
        aside: where the oracle works.
    """

    def __init__(
        self,
        oracle: Oracle,
        label: str,
        allowance: Allowance,
        retry: Retry,
        breaker: Breaker,
        timeout_s: float,
        tell: Callable[[str], None],
        aside: Aside,
    ) -> None:
        self._oracle, self._label, self._allowance, self._aside = oracle, label, allowance, aside
        self._retry, self._breaker, self._timeout_s, self._tell = retry, breaker, timeout_s, tell
        self._ask_again = int(getattr(oracle, "ask_again", 0)) if hasattr(oracle, "locate_again") else 0
        self._rests = False  # its server wants to be left alone for long
        self._worked = False  # it has answered, whatever the answer was worth
        self._limits = allowance.limits.beside()
        self._counts_itself = bool(getattr(oracle, "metered", False))
        self.renew()

    def renew(self) -> None:
        """Ready for another event loop."""
        self._turn = asyncio.Lock()

    async def ask(self, query: Query, keep: Keep, note: Callable[[Attempt], Awaitable[None]]) -> Verdict:
        """The last attempt's outcome, with the usage of all.

        Args:
            query: what is asked.
            keep: makes the answer safe, before its call makes room for another.
            note: hears of every attempt, while its call still has its slot.

        Raises:
            UsageError: it rejects its first question, and the allowance demands that it does not.
        """
        asked = _Asked()
        while True:
            refusal = await self._start()
            try:
                attempt, pause_s = await self._attempt(query, asked, keep, refusal)
                await note(attempt)
            finally:
                if refusal is None:  # a call's slot is free when what it brought is safe
                    self._allowance.slots.release()
            verdict = attempt.verdict
            if attempt.made and verdict.tag is Tag.REJECTED and self._demanded and not self._worked:
                raise UsageError(
                    f"{self._label} rejects its first question ({verdict.detail}); check its key, model name and endpoint, and "
                    "that the context of the server holds such a prompt and its answer"
                )
            if pause_s is None:
                return replace(verdict, usage=asked.usage, again="")
            await asyncio.sleep(pause_s)

    async def _attempt(self, query: Query, asked: _Asked, keep: Keep, refusal: Verdict | None) -> tuple[Attempt, float | None]:
        """One attempt, and the seconds until the next one; None where it is the last."""
        if refusal is not None:
            verdict, pause_s = refusal, None
        else:
            verdict, pause_s = await self._call(query, asked, keep), None
            self._allowance.retried += asked.calls > 1 and verdict.usage.calls > 0  # as the log counts
            if self._refusal() is None:
                pause_s = self._pause_s(verdict, asked)
        if asked.calls and pause_s is None and self._breaker.finish(verdict.tag.is_failure, time.monotonic()):
            self._tell_of_breaker(verdict)
        said = verdict
        if verdict.again == "quote" and pause_s is not None:
            asked.before, asked.again = verdict, asked.again + 1
            # This is not the answer, and must not look like one in the log
            said = Verdict(Tag.MALFORMED, verdict.critique, usage=verdict.usage, detail=_of_no_use(verdict))
        elif pause_s is None and asked.before is not None and verdict.tag.is_failure:
            said = replace(asked.before, usage=verdict.usage)  # an answer that is of no use is one all the same
        if pause_s is None and not (asked.kept and said is verdict):
            await keep(replace(said, usage=asked.usage, again=""))
        return Attempt(said, asked.calls, refusal is None, pause_s is None), pause_s

    def heard(self, verdict: Verdict) -> None:
        """Take note of what the oracle said, now or before."""
        self._worked |= verdict.tag not in _UNHEARD

    @property
    def _demanded(self) -> bool:
        return self._allowance.demanding and hasattr(self._oracle, "model")

    def _pause_s(self, verdict: Verdict, asked: _Asked) -> float | None:
        """Seconds until the question is asked once more; None: it is not."""
        if verdict.again == "settings":  # no fault of this question's, and at most once a setting
            return 0.0
        if verdict.again == "quote":
            return 0.0 if asked.again < self._ask_again else None
        waited_s = 0.0 if asked.first_failed is None else time.monotonic() - asked.first_failed
        return self._retry.pause_s(verdict, asked.tries, waited_s)

    async def _start(self) -> Verdict | None:
        """Wait until a call may start, and start it, which takes a slot; or say why none may."""
        allowance, limits = self._allowance, self._limits
        async with self._turn:  # only the first in line waits for the server; and it holds no slot while it does
            while (refusal := self._refusal()) is None:
                if (wait_s := limits.wait_s(time.monotonic())) > 0:
                    await asyncio.sleep(min(wait_s, _LONGEST_NAP_S))
                    continue
                await allowance.slots.acquire()
                now = time.monotonic()
                if self._refusal() is None and limits.wait_s(now) <= 0:
                    self._breaker.start(now)
                    allowance.budget.start()
                    return None
                allowance.slots.release()
            return refusal

    async def _call(self, query: Query, asked: _Asked, keep: Keep) -> Verdict:
        """One call."""
        started, verdict = time.monotonic(), None
        expected_tokens = self._limits.start(started)
        try:
            verdict = await self._in_time(query, asked.before)
            if not self._counts_itself and not verdict.usage.calls:
                verdict = replace(verdict, usage=replace(verdict.usage, calls=1))
        finally:
            self._allowance.budget.finish(Usage(calls=1) if verdict is None else verdict.usage)
            if verdict is None:  # the oracle's own bug, or the end of the run
                self._breaker.finish(True, time.monotonic())
        self._limits.finish(verdict, expected_tokens, started, time.monotonic())
        self._tell_of_rest(verdict)
        self.heard(verdict)
        asked.note(verdict, time.monotonic())
        asked.kept = verdict.again != "quote" or asked.again >= self._ask_again  # else it will be asked for again
        if asked.kept:
            await keep(replace(verdict, usage=asked.usage, again=""))
        return verdict

    async def _in_time(self, query: Query, before: Verdict | None) -> Verdict:
        """The oracle's word; a time-out where it takes too long, whether it lets itself be cancelled or not."""
        asking = asyncio.ensure_future(self._aside.run(lambda: ask(self._oracle, query, before)))
        try:
            done, _ = await asyncio.wait({asking}, timeout=self._timeout_s)
        except asyncio.CancelledError:
            asking.cancel()
            raise
        if done:
            return asking.result()
        asking.cancel()
        asking.add_done_callback(lambda late: late.cancelled() or late.exception())
        usd = None if getattr(self._oracle, "price", 0) is None else 0.0
        usage = Usage(calls=1, usd=usd, latency_s=self._timeout_s)
        return Verdict(Tag.TIMEOUT, usage=usage, detail=f"no answer within {self._timeout_s:g} s")

    def _refusal(self) -> Verdict | None:
        """Why no call may be made now, as a verdict that cost nothing."""
        if (refusal := self._allowance.refusal()) is not None:
            return refusal
        now = time.monotonic()
        if not self._breaker.allows(now):
            return Verdict(Tag.CIRCUIT_OPEN, detail=f"the last {self._breaker.failures} questions or more failed")
        if (rest_s := self._limits.blocked_s(now)) > LONGEST_REST_S:
            return Verdict(Tag.CIRCUIT_OPEN, detail=f"the server asked to be left alone for {rest_s:.0f} s")
        return None

    def _tell_of_rest(self, verdict: Verdict) -> None:
        rest_s, rested = self._limits.blocked_s(time.monotonic()), self._rests
        self._rests = rest_s > LONGEST_REST_S
        if self._rests and not rested:
            self._tell(
                f"the server of {self._label} asks to be left alone for {rest_s:.0f} s ({verdict.tag}: {verdict.detail}); not "
                "asked until then"
            )

    def _tell_of_breaker(self, verdict: Verdict) -> None:
        if self._breaker.is_open:
            self._tell(
                f"{self._label} failed {self._breaker.failures} times in a row, last with {verdict.tag} ({verdict.detail}); "
                f"not asked now, tried again every {self._breaker.pause_s:g} s"
            )
        else:
            self._tell(f"{self._label} answers again")


def _of_no_use(verdict: Verdict) -> str:
    return f"{verdict.detail}; asked again; it was {verdict.segment[:200]!r}"
