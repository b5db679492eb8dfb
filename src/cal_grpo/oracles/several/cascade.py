"""Oracles from cheap to dear: the first that is sure answers."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.protocol import Oracle, name_of
from cal_grpo.oracles.several.composite import Composite, together
from cal_grpo.oracles.types import Query, Tag, Verdict


class Cascade(Composite):
    """Asks one oracle after the other until one finds the error with the confidence that it must reach.

    Args:
        stages: (oracle, confidence in [0, 1]) from cheap to dear. A verdict without a confidence is sure.

    A quote that has no place in the response (see ``maps_with``) is no answer. When none is sure, the first failure stands, for
    asking that one again may bring more; else the last one's abstention, "no error" or such a quote. The usage of a verdict is
    that of all oracles asked.

    Raises:
        UsageError: no stage, one that is no oracle, or a confidence outside [0, 1].
    """

    name = "cascade"

    def __init__(self, stages: Sequence[tuple[Oracle, float]]) -> None:
        super().__init__([oracle for oracle, _ in stages])
        for oracle, confidence in stages:
            if not 0 <= confidence <= 1:
                raise UsageError(f"cascade: {name_of(oracle)} must reach confidence {confidence}; expected 0 to 1")
        self._needed = [confidence for _, confidence in stages]
        self._reached: Counter[int] = Counter()
        self._answered: Counter[int] = Counter()

    async def locate(self, query: Query) -> Verdict:
        verdicts: list[Verdict] = []
        for stage, needed in enumerate(self._needed):
            verdict = await self.ask(stage, query)
            verdicts.append(verdict)
            sure = verdict.confidence is None or verdict.confidence >= needed
            if verdict.tag is Tag.FOUND and sure:
                # A long response is searched on a thread: this loop keeps time for others
                place = await asyncio.to_thread(self.place, query.response, verdict)
                if place is not None:
                    self._answered[stage] += 1
                    break
        else:
            if verdict.tag is Tag.FOUND and not sure:
                verdict = Verdict(Tag.ABSTAINED, critique=verdict.critique, confidence=verdict.confidence)
            verdict = next((failed for failed in verdicts if failed.tag.is_failure), verdict)
        if not verdict.tag.is_failure:
            self._reached.update(range(len(verdicts)))
        return together(verdicts, verdict)

    def shares(self) -> dict[str, Any]:
        """How many queries there were, who answered them (``none`` when nobody was sure), and the calls saved.

        A call is saved when a query did not reach a stage; ``saved`` counts them for every stage but the first. Queries
        that ended in a failure are not counted.
        """
        names = [f"{number} {name_of(oracle)}" for number, oracle in enumerate(self.members, 1)]
        queries, answered = self._reached[0], sum(self._answered.values())
        return {
            "queries": queries,
            "answered": {name: self._answered[i] for i, name in enumerate(names)} | {"none": queries - answered},
            "saved": {name: queries - self._reached[i] for i, name in enumerate(names) if i},
        }

    @property
    def identity(self) -> Mapping[str, str] | None:
        """What decides the answers; None when a stage does not say."""
        parts = self.parts()
        if parts is None:
            return None
        stages = [f"{part} @{needed:g}" for part, needed in zip(parts, self._needed, strict=True)]
        return {"oracle": self.name, "stages": " > ".join(stages)}
