"""One question's way to its verdict: shared, cached, within limits and budget, retried, logged.

Everything here runs on one event loop, so nothing needs a lock. ``Limits``, ``Budget`` and ``Breaker`` are plain objects
that say whether a call may start and are told how it ended.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from cal_grpo.oracles.memory import JudgeLog, Recall, Replay, VerdictCache, request_digest
from cal_grpo.oracles.requests.breaker import Breaker
from cal_grpo.oracles.requests.budget import Budget
from cal_grpo.oracles.requests.limits import Limits
from cal_grpo.oracles.requests.retry import PATIENCE_S, Retry
from cal_grpo.oracles.types import Oracle, Query, Tag, Usage, Verdict

_NOT_ASKED = (Tag.OVER_BUDGET, Tag.CIRCUIT_OPEN)
_LONGEST_NAP_S = 1.0  # whoever waits for a pace looks up at times: the breaker may have opened, the budget be spent


class OracleClient:
    """Asks one oracle as a training loop needs it asked.

    Args:
        oracle: who is asked.
        metered: whether the usage in its verdicts counts its calls; if not, each question asked of it is one.
        concurrency: calls in flight at most.
        retry, limits, budget, breaker: see there.
        cache: None keeps verdicts in memory only.
        tell: hears, in one line and once, what a person should know.
    """

    def __init__(
        self,
        oracle: Oracle,
        *,
        metered: bool,
        concurrency: int,
        retry: Retry,
        limits: Limits,
        budget: Budget,
        breaker: Breaker,
        cache: VerdictCache | None,
        tell: Callable[[str], None],
    ) -> None:
        self._oracle, self._metered, self._concurrency = oracle, metered, concurrency
        self._retry, self._limits, self._breaker = retry, limits, breaker
        self._cache, self._tell = cache, tell
        self._slots = asyncio.Semaphore(concurrency)
        self._asked: dict[str, asyncio.Task[Verdict]] = {}
        self.budget = budget
        self.log: JudgeLog | None = None
        self.recall: Recall | None = None
        self.on_spent: Callable[[str], None] | None = None
        self.outcomes: Counter[str] = Counter()
        self.cached = self.retried = 0
        self._spent_told = False

    async def answer(self, query: Query) -> Verdict:
        """The verdict on a query. The same query is asked once, also while it is in flight; a failure is not kept."""
        request = request_digest(query)
        task = self._asked.get(request)
        if task is None or _useless(task):
            task = self._asked[request] = asyncio.ensure_future(self._find(request, query))
            verdict = await asyncio.shield(task)
        else:
            verdict = replace(await asyncio.shield(task), cached=True)
            self._write(request, verdict, attempt=0)
        self.outcomes[str(verdict.tag)] += 1
        self.cached += verdict.cached
        return verdict

    def repeat(self, query: Query, replay: Replay) -> Verdict:
        """The answer that an earlier run was given."""
        verdict = self._given(replay.answer(query))
        self._write(request_digest(query), verdict, attempt=0)
        return verdict

    def recalled(self, query: Query) -> Verdict | None:
        """The answer that this run was given before it was stopped, if it is to be given again. It has its line."""
        verdict = None if self.recall is None else self.recall.again(request_digest(query))
        return None if verdict is None else self._given(verdict)

    def _given(self, verdict: Verdict) -> Verdict:
        self.outcomes[str(verdict.tag)] += 1
        self.cached += verdict.cached
        if verdict.tag is Tag.OVER_BUDGET:
            self._tell_of_budget(verdict.detail)
        return verdict

    async def _find(self, request: str, query: Query) -> Verdict:
        if self.recall is not None and (known := self.recall.known(request)) is not None:
            self._write(request, known, attempt=0)
            return known
        if self._cache is not None:
            known = await asyncio.to_thread(self._cache.get, request)
            if known is not None:
                self._write(request, known, attempt=0)
                return known
        verdict, usage = await self._ask(request, query)
        return replace(verdict, usage=usage)

    async def _ask(self, request: str, query: Query) -> tuple[Verdict, Usage]:
        """The last attempt's outcome, and the usage of all."""
        usage, attempt = Usage(), 0
        while True:
            verdict = await self._call(request, query, usage)
            attempt += verdict.tag not in _NOT_ASKED
            usage += verdict.usage
            pause_s = self._retry.pause_s(verdict, attempt)
            if pause_s is None or self._refusal() is not None:
                break
            self._write(request, verdict, attempt, final=False)
            self.retried += 1
            await asyncio.sleep(pause_s)
        if attempt and self._breaker.finish(verdict.tag.is_failure, time.monotonic()):
            self._tell_of_breaker(verdict)
        self._write(request, verdict, attempt)
        return verdict, usage

    async def _call(self, request: str, query: Query, before: Usage) -> Verdict:
        """One call. A verdict is on disk before it is used, and before the call makes room for another.

        Args:
            request, query: what is asked.
            before: the usage of earlier attempts.
        """
        async with self._slots:
            while True:
                if (refusal := self._refusal()) is not None:
                    return refusal
                wait_s = self._limits.wait_s(time.monotonic())
                if wait_s <= 0:
                    break
                await asyncio.sleep(min(wait_s, _LONGEST_NAP_S))
            started = time.monotonic()
            expected_tokens = self._limits.start(started)
            self._breaker.start(started)
            self.budget.start()
            verdict: Verdict | None = None
            try:
                verdict = await self._oracle.locate(query)
                if not self._metered and not verdict.usage.calls:
                    verdict = replace(verdict, usage=replace(verdict.usage, calls=1))
            finally:
                self.budget.finish(Usage(calls=1) if verdict is None else verdict.usage)
                if verdict is None:  # the oracle's own bug, or the end of the run
                    self._breaker.finish(True, time.monotonic())
            self._limits.finish(verdict, expected_tokens, started, time.monotonic())
            if self._cache is not None and not verdict.tag.is_failure:
                await asyncio.to_thread(self._cache.put, request, query, replace(verdict, usage=before + verdict.usage))
            return verdict

    def _refusal(self) -> Verdict | None:
        """Why no call may be made now, as a verdict that cost nothing."""
        if (limit := self.budget.reached()) is not None:
            self._tell_of_budget(f"{limit} is reached")
            return Verdict(Tag.OVER_BUDGET, detail=f"{limit} is reached")
        now = time.monotonic()
        if not self._breaker.allows(now):
            return Verdict(Tag.CIRCUIT_OPEN, detail=f"the last {self._breaker.failures} questions or more failed")
        if (rest_s := self._limits.blocked_s(now)) > PATIENCE_S:
            return Verdict(Tag.CIRCUIT_OPEN, detail=f"the server asked to be left alone for {rest_s:.0f} s")
        return None

    def _tell_of_budget(self, detail: str) -> None:
        if self._spent_told:
            return
        self._spent_told = True
        self._tell(f"the oracle's budget is spent: {detail}")
        if self.on_spent is not None:
            self.on_spent(detail)

    def _tell_of_breaker(self, verdict: Verdict) -> None:
        if self._breaker.is_open:
            self._tell(
                f"the oracle failed {self._breaker.failures} times in a row, last with {verdict.tag} ({verdict.detail}); "
                f"not asked now, tried again every {self._breaker.pause_s:g} s"
            )
        else:
            self._tell("the oracle answers again")

    def _write(self, request: str, verdict: Verdict, attempt: int, final: bool = True) -> None:
        if self.log is not None:
            # What was paid before is not paid again: the lines of a log add up to its costs.
            self.log.write(request, replace(verdict, usage=Usage()) if verdict.cached else verdict, attempt, final)

    async def aclose(self) -> None:
        """Cancel what is in flight, close the oracle's connections and the files. Verdicts stay in memory."""
        tasks = [task for task in self._asked.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._slots = asyncio.Semaphore(self._concurrency)  # a semaphore belongs to the loop that waited for it
        aclose = getattr(self._oracle, "aclose", None)
        if aclose is not None:
            await aclose()
        if self._cache is not None:
            self._cache.close()
        if self.log is not None:
            self.log.close()


def _useless(task: asyncio.Task[Verdict]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None or task.result().tag.is_failure)
