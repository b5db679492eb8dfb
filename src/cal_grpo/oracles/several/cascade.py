"""Oracles from cheap to dear: the first that is sure answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.several.members import Members
from cal_grpo.oracles.types import Oracle, Query, Tag, Usage, Verdict


class Cascade:
    """Asks one oracle after the other until one finds the error with the confidence that it must reach.

    Args:
        stages: (oracle, confidence in [0, 1]) from cheap to dear. A verdict without a confidence is sure.

    When none is sure, the last one's abstention, "no error" or failure stands; so a failed call is tried again as any
    other, without paying the earlier stages again. The usage of a verdict is that of all oracles asked.

    Raises:
        UsageError: no stage, or a confidence outside [0, 1].
    """

    name = "cascade"
    metered = True

    def __init__(self, stages: Sequence[tuple[Oracle, float]]) -> None:
        if not stages:
            raise UsageError("cascade got no oracles; expected at least one, from cheap to dear")
        for oracle, confidence in stages:
            if not 0 <= confidence <= 1:
                raise UsageError(f"cascade: {oracle.name} must reach confidence {confidence}; expected 0 to 1")
        self._members = Members([oracle for oracle, _ in stages])
        self._needed = [confidence for _, confidence in stages]
        self._reached: Counter[int] = Counter()
        self._answered: Counter[int] = Counter()

    async def locate(self, query: Query) -> Verdict:
        usage, path = Usage(), []
        for stage, needed in enumerate(self._needed):
            path.append(stage)
            verdict = await self._members.ask(stage, query)
            usage += verdict.usage
            sure = verdict.confidence is None or verdict.confidence >= needed
            if verdict.tag is Tag.FOUND and sure:
                self._answered[stage] += 1
                break
        else:
            if verdict.tag is Tag.FOUND:
                verdict = Verdict(Tag.ABSTAINED, critique=verdict.critique, confidence=verdict.confidence)
        if not verdict.tag.is_failure:  # else the query comes again
            self._members.settle(query)
            self._reached.update(path)
        return replace(verdict, usage=usage)

    def shares(self) -> dict[str, Any]:
        """How many queries there were, who answered them (``none`` when nobody was sure), and the calls saved.

        A call is saved when a query did not reach a stage; ``saved`` counts them for every stage but the first. Queries
        that ended in a failure are not counted.
        """
        names = [f"{number} {oracle.name}" for number, oracle in enumerate(self._members.oracles, 1)]
        queries, answered = self._reached[0], sum(self._answered.values())
        return {
            "queries": queries,
            "answered": {name: self._answered[i] for i, name in enumerate(names)} | {"none": queries - answered},
            "saved": {name: queries - self._reached[i] for i, name in enumerate(names) if i},
        }

    @property
    def identity(self) -> Mapping[str, str] | None:
        """What decides the answers; None when a stage does not say."""
        parts = self._members.identity()
        if parts is None:
            return None
        stages = [f"{part} @{needed:g}" for part, needed in zip(parts, self._needed, strict=True)]
        return {"oracle": self.name, "stages": " > ".join(stages)}

    @property
    def free(self) -> bool:
        return self._members.free

    @property
    def price(self) -> Any:
        return self._members.price

    async def aclose(self) -> None:
        await self._members.aclose()
