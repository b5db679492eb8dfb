"""Calls of one oracle: in turn, within what all share, tried again where that may help, and none to one that is dead."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from cal_grpo.oracles.protocol import Oracle, ask
from cal_grpo.oracles.requests.allowance import Allowance
from cal_grpo.oracles.requests.breaker import Breaker
from cal_grpo.oracles.requests.retry import PATIENCE_S, Retry
from cal_grpo.oracles.types import Query, Tag, Usage, Verdict

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


class Caller:
    """Asks one oracle, which costs something.

    Args:
        oracle: who is asked.
        label: what to call it when something is told.
        allowance: shared with all others; refusals of its server are its own.
        retry, breaker: see there.
        tell: hears, in one line and once, when the oracle is left alone, and when it answers again.
    """

    def __init__(
        self,
        oracle: Oracle,
        label: str,
        allowance: Allowance,
        retry: Retry,
        breaker: Breaker,
        tell: Callable[[str], None],
    ) -> None:
        self._oracle, self._label, self._allowance = oracle, label, allowance
        self._retry, self._breaker, self._tell = retry, breaker, tell
        self._limits = allowance.limits.beside()
        self._counts_itself = bool(getattr(oracle, "metered", False))
        self.renew()

    def renew(self) -> None:
        """Ready for another event loop."""
        self._turn = asyncio.Lock()

    async def ask(self, query: Query, keep: Callable[[Verdict], Awaitable[None]], note: Callable[[Attempt], None]) -> Verdict:
        """The last attempt's outcome, with the usage of all.

        Args:
            query: what is asked.
            keep: makes the answer safe, before its call makes room for another.
            note: hears of every attempt.
        """
        usage, number = Usage(), 0
        while True:
            refusal = await self._start()
            if refusal is not None:
                verdict, pause_s, made = refusal, None, False
            else:
                number += 1
                verdict, pause_s, made = await self._call(query, usage, keep), None, True
                self._allowance.retried += number > 1
                usage += verdict.usage
                if self._refusal() is None:
                    pause_s = self._retry.pause_s(verdict, number)
            if number and pause_s is None and self._breaker.finish(verdict.tag.is_failure, time.monotonic()):
                self._tell_of_breaker(verdict)
            note(Attempt(verdict, number, made, pause_s is None))
            if pause_s is None:
                return replace(verdict, usage=usage)
            await asyncio.sleep(pause_s)

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

    async def _call(self, query: Query, before: Usage, keep: Callable[[Verdict], Awaitable[None]]) -> Verdict:
        """One call, and the end of its slot. ``before`` is the usage of earlier attempts."""
        started, verdict = time.monotonic(), None
        expected_tokens = self._limits.start(started)
        try:
            try:
                verdict = await ask(self._oracle, query)
                if not self._counts_itself and not verdict.usage.calls:
                    verdict = replace(verdict, usage=replace(verdict.usage, calls=1))
            finally:
                self._allowance.budget.finish(Usage(calls=1) if verdict is None else verdict.usage)
                if verdict is None:  # the oracle's own bug, or the end of the run
                    self._breaker.finish(True, time.monotonic())
            self._limits.finish(verdict, expected_tokens, started, time.monotonic())
            await keep(replace(verdict, usage=before + verdict.usage))
            return verdict
        finally:
            self._allowance.slots.release()

    def _refusal(self) -> Verdict | None:
        """Why no call may be made now, as a verdict that cost nothing."""
        if (refusal := self._allowance.refusal()) is not None:
            return refusal
        now = time.monotonic()
        if not self._breaker.allows(now):
            return Verdict(Tag.CIRCUIT_OPEN, detail=f"the last {self._breaker.failures} questions or more failed")
        if (rest_s := self._limits.blocked_s(now)) > PATIENCE_S:
            return Verdict(Tag.CIRCUIT_OPEN, detail=f"the server asked to be left alone for {rest_s:.0f} s")
        return None

    def _tell_of_breaker(self, verdict: Verdict) -> None:
        if self._breaker.is_open:
            self._tell(
                f"{self._label} failed {self._breaker.failures} times in a row, last with {verdict.tag} ({verdict.detail}); "
                f"not asked now, tried again every {self._breaker.pause_s:g} s"
            )
        else:
            self._tell(f"{self._label} answers again")
