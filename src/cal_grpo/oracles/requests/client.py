"""One question's way to its verdict: given again, known, in flight, or asked; within limits and budget; logged.

What costs something is an oracle's call, so calls are counted, paced, bounded, retried and cached at the leaves: the oracles
that a cascade or vote asks in the end. Everything here runs on one event loop, so nothing needs a lock; the leaves themselves
work aside, on two others: those that wait for a server, and those that may compute.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.memory import (
    CacheFile,
    JudgeLog,
    Memories,
    Memory,
    Question,
    Recent,
    Replay,
    Resumed,
    VerdictCache,
    request_digest,
)
from cal_grpo.oracles.protocol import Oracle, ask, name_of
from cal_grpo.oracles.requests.allowance import Allowance
from cal_grpo.oracles.requests.aside import Aside
from cal_grpo.oracles.requests.breaker import Breaker
from cal_grpo.oracles.requests.caller import Caller
from cal_grpo.oracles.requests.leaf import Leaf
from cal_grpo.oracles.requests.once import Once
from cal_grpo.oracles.requests.retry import Retry
from cal_grpo.oracles.several import Composite, Find, leaves, over_leaves
from cal_grpo.oracles.types import Query, Tag, Usage, Verdict


class OracleClient:
    """Asks an oracle as a training loop needs it asked.

    Args:
        oracle: who is asked; may be made of others.
        allowance: what all its calls share.
        retry: when a call is made again.
        breaker: makes one for each oracle that calls, so that a dead judge stops no other.
        timeout_s: what one call may take.
        cache: None keeps verdicts in memory only.
        replay: answers in the oracle's place.
        tell: hears, in one line and once, what a person should know.
    """

    def __init__(
        self,
        oracle: Oracle,
        *,
        allowance: Allowance,
        retry: Retry,
        breaker: Callable[[], Breaker],
        timeout_s: float,
        cache: CacheFile | None,
        replay: Replay | None,
        tell: Callable[[str], None],
    ) -> None:
        self._oracle, self._retry, self._breaker, self._tell = oracle, retry, breaker, tell
        self._timeout_s, self._cache, self._replay = timeout_s, cache, replay
        self._first: asyncio.Task[Verdict] | None = None
        self.allowance, self.log = allowance, JudgeLog(tell)
        self.outcomes: Counter[str] = Counter()
        self._recent = Recent()
        self._resumed = Resumed(self._recent)
        self._callers: dict[int, Caller] = {}
        self._leaves: dict[tuple[int, int], Leaf] = {}
        self._waiting, self._computing = Aside(f"oracle-{name_of(oracle)}-waits"), Aside(f"oracle-{name_of(oracle)}-computes")
        self._whole = self._made_of = over_leaves(oracle, self._leaf)
        if not isinstance(self._whole, Leaf) and self._leaves:
            self._whole = _Whole(self._whole, Memories(self._recent), self.log)

    async def answer(self, query: Query) -> Verdict:
        """The verdict on a query. The same query is asked once, also while it is in flight; a failure is not kept."""
        question = Question("", request_digest(query), query)
        verdict = await self._resumed.recall(question)  # it has its line
        if verdict is None and self._replay is not None:
            verdict = await self._replay.recall(question)
            await self._write(question, verdict)
        if verdict is None:
            verdict = await ask(self._whole, query)
            if not isinstance(self._whole, Once):
                await self._write(question, verdict)
        elif verdict.tag is Tag.OVER_BUDGET:
            self.allowance.tell_spent(verdict.detail)
        self.outcomes[str(verdict.tag)] += 1
        return verdict

    async def answer_first(self, query: Query) -> Verdict:
        """The verdict on a run's first query, for which the others wait; see ``CALOracle.submit_all``."""
        self._first = asyncio.ensure_future(self.answer(query))
        return await self._first

    async def answer_after(self, query: Query) -> Verdict:
        """The verdict on a query that waits for the first one's.

        Raises:
            UsageError: as the first one's did; nothing is asked then.
        """
        if self._first is not None and not self._first.cancelled():
            try:
                await asyncio.shield(self._first)
            except UsageError:
                raise
            except Exception:  # noqa: BLE001 - an oracle's own bug, which reaches whoever waits for that verdict
                pass
        return await self.answer(query)

    def maps_with(self, find: Find) -> None:
        """What decides whether a quote is an answer, see ``CALOracle.maps_with``."""
        if isinstance(self._made_of, Composite):
            self._made_of.maps_with(find)

    def resume(self, log: Path, settled: int) -> None:
        """Go on as the run that wrote a judge log, see ``CALOracle.resume``."""
        self._resumed.read(log, settled)
        self.allowance.budget.spent, self.allowance.retried = self._resumed.spent, self._resumed.retried
        if self._replay is not None:
            self._replay.skip(self._resumed.answered)

    def _leaf(self, oracle: Oracle, place: str, critique: int) -> Oracle:
        """A leaf as its questions meet it; the same critique of the same oracle is one, wherever it stands."""
        if getattr(oracle, "free", False):
            return _Free(oracle, self._aside(oracle))  # there is nothing to count, to spare or to keep
        if (id(oracle), critique) not in self._leaves:
            memories: list[Memory] = [self._resumed, self._recent] if place else [self._recent]
            if self._cache is not None and (identity := getattr(oracle, "identity", None)) is not None:
                memories.append(VerdictCache(self._cache, identity, critique))
            self._leaves[id(oracle), critique] = Leaf(
                name_of(oracle), place, Memories(*memories), self._caller(oracle, place), _identity(oracle), self.log
            )
        return self._leaves[id(oracle), critique]

    def _caller(self, oracle: Oracle, place: str) -> Caller:
        if id(oracle) not in self._callers:
            label = f"the oracle {name_of(oracle)!r} ({place})" if place else "the oracle"
            self._callers[id(oracle)] = Caller(
                oracle, label, self.allowance, self._retry, self._breaker(), self._timeout_s, self._tell, self._aside(oracle)
            )
        return self._callers[id(oracle)]

    def _aside(self, oracle: Oracle) -> Aside:
        return self._waiting if getattr(oracle, "awaits", False) else self._computing

    async def _write(self, question: Question, verdict: Verdict) -> None:
        await self.log.write(question.request, _identity(self._oracle), verdict, 0, final=True)

    async def aclose(self) -> None:
        """Close the oracle's connections and the files. Verdicts stay in memory."""
        self.allowance.renew()
        for caller in self._callers.values():
            caller.renew()
        try:
            for leaf in {id(leaf): leaf for leaf in leaves(self._oracle)}.values():
                if (close := getattr(leaf, "aclose", None)) is not None:
                    await self._aside(leaf).run(close)
        finally:
            if self._cache is not None:
                self._cache.close()
            self.log.close()
            stopped = [await asyncio.to_thread(aside.close) for aside in (self._waiting, self._computing)]
        if not all(stopped):
            self._tell(f"the oracle {name_of(self._oracle)!r} does not let go of a call; it is left behind")


class _Free:
    """An oracle that costs nothing, asked aside; in all else it is itself."""

    def __init__(self, oracle: Oracle, aside: Aside) -> None:
        self.name, self._oracle, self._aside = name_of(oracle), oracle, aside

    async def locate(self, query: Query) -> Verdict:
        return await self._aside.run(lambda: ask(self._oracle, query))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._oracle, name)


class _Whole(Once):
    """A cascade or vote with leaves that cost something. Their calls have their lines; its own show the answers."""

    def __init__(self, oracle: Oracle, memories: Memories, log: JudgeLog) -> None:
        super().__init__(name_of(oracle), "", memories)
        self._oracle, self._log = oracle, log

    async def find(self, question: Question) -> Verdict:
        verdict = await ask(self._oracle, question.query)
        await self.memories.keep(question, verdict)
        await self.note_known(question, replace(verdict, usage=Usage()))
        return verdict

    async def note_known(self, question: Question, verdict: Verdict) -> None:
        await self._log.write(question.request, _identity(self._oracle), verdict, 0, final=True)


def _identity(oracle: Oracle) -> Mapping[str, str]:
    return getattr(oracle, "identity", None) or {"oracle": name_of(oracle)}
