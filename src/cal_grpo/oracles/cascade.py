"""Oracles from cheap to dear: the first that is sure answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.types import Oracle, Query, Tag, Usage, Verdict


class Cascade:
    """Asks one oracle after the other until one finds the error with the confidence that it must reach.

    Args:
        stages: (oracle, confidence in [0, 1]) from cheap to dear. A verdict without a confidence is sure.

    When none is sure, the last one's abstention, "no error" or failure stands; so a failed call is tried again as any
    other. The usage of a verdict is that of all oracles asked.

    Raises:
        UsageError: no stage, or a confidence outside [0, 1].
    """

    name = "cascade"

    def __init__(self, stages: Sequence[tuple[Oracle, float]]) -> None:
        if not stages:
            raise UsageError("cascade got no oracles; expected at least one, from cheap to dear")
        for oracle, confidence in stages:
            if not 0 <= confidence <= 1:
                raise UsageError(f"cascade: {oracle.name} must reach confidence {confidence}; expected 0 to 1")
        self.stages = tuple(stages)
        self.asked: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()

    @property
    def identity(self) -> Mapping[str, str] | None:
        """What decides the answers; None, as for every free oracle, when no stage has one."""
        parts = [getattr(oracle, "identity", None) for oracle, _ in self.stages]
        if not any(parts):
            return None
        names = [f"{o.name}@{c:g} {dict(p or {})}" for (o, c), p in zip(self.stages, parts, strict=True)]
        return {"oracle": self.name, "stages": " > ".join(names)}

    @property
    def price(self) -> Any:
        """None when the price of a stage is not known."""
        prices = [getattr(oracle, "price", 0) for oracle, _ in self.stages]
        return None if None in prices else prices[-1]

    async def locate(self, query: Query) -> Verdict:
        usage = Usage()
        verdict = Verdict(Tag.ABSTAINED)
        for stage, (oracle, needed) in enumerate(self.stages):
            self.asked[stage] += 1
            verdict = await oracle.locate(query)
            usage += verdict.usage
            if verdict.tag is Tag.FOUND and (verdict.confidence is None or verdict.confidence >= needed):
                self.answered[stage] += 1
                return replace(verdict, usage=usage)
        if verdict.tag is Tag.FOUND:
            verdict = Verdict(Tag.ABSTAINED, critique=verdict.critique, confidence=verdict.confidence)
        return replace(verdict, usage=usage)

    def shares(self) -> dict[str, Any]:
        """How many queries there were, who answered them (``none`` when nobody was sure), and the calls saved.

        A call is saved when a query did not reach a stage; ``saved`` counts them for every stage but the first.
        """
        names = [f"{number} {oracle.name}" for number, (oracle, _) in enumerate(self.stages, 1)]
        queries, answered = self.asked[0], sum(self.answered.values())
        return {
            "queries": queries,
            "answered": {name: self.answered[i] for i, name in enumerate(names)} | {"none": queries - answered},
            "saved": {name: queries - self.asked[i] for i, name in enumerate(names) if i},
        }

    async def aclose(self) -> None:
        """Close the connections of every stage."""
        await close_all([oracle for oracle, _ in self.stages])


async def close_all(oracles: Sequence[Oracle]) -> None:
    """Close the oracles that have something to close, each once."""
    for oracle in {id(oracle): oracle for oracle in oracles}.values():
        aclose = getattr(oracle, "aclose", None)
        if aclose is not None:
            await aclose()
