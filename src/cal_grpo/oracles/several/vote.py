"""Several critiques, one verdict: what most of them blame, what all of them blame, or what any of them blames."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

from cal_grpo.errors import UsageError
from cal_grpo.oracles.corrections import corrected, with_correction
from cal_grpo.oracles.protocol import Oracle
from cal_grpo.oracles.several.composite import Composite, together
from cal_grpo.oracles.types import Query, Tag, Verdict

Rule = Literal["majority", "intersection", "union"]


class Vote(Composite):
    """Asks several oracles, or one several times, at once, and blames what their quotes have in common.

    Args:
        oracles: whom to ask; the same one may be there more than once, which makes sense when it samples its answers.
        rule: characters blamed by more than half of the critiques (``majority``), by all of them (``intersection``) or by
            any (``union``). Of several places the one with most votes is taken, of equals the first.

    A critique that finds no error or abstains counts against every place. A failed call does not count, nor does a quote that
    has no place in the response (see ``maps_with``); when fewer than half of the calls bring an answer, the first of these
    stands. The confidence is the share of all critiques that are behind the place; a correction is that of a critique which
    blames the same step.

    Raises:
        UsageError: no oracle, something that is none, or an unknown rule.
    """

    name = "vote"
    draws_again = True

    def __init__(self, oracles: Sequence[Oracle], rule: Rule = "majority") -> None:
        super().__init__(oracles)
        if rule not in get_args(Rule):
            raise UsageError(f"vote rule is {rule!r}; expected one of {', '.join(get_args(Rule))}")
        self._rule = rule

    async def locate(self, query: Query) -> Verdict:
        verdicts = await asyncio.gather(*(self.ask(i, query) for i in range(len(self.members))))
        # Long responses are searched on a thread: this loop keeps time for others
        elected = await asyncio.to_thread(self._decide, query.response, verdicts)
        told = together(verdicts, elected)
        slowest = max(verdict.usage.latency_s for verdict in verdicts if told.cached or not verdict.cached)
        return replace(told, usage=replace(told.usage, latency_s=slowest))  # they were asked at once

    def _decide(self, response: str, verdicts: Sequence[Verdict]) -> Verdict:
        """What the critiques come to, without its cost."""
        size = len(verdicts)
        places = [self.place(response, verdict) for verdict in verdicts]
        lost = [v for v, place in zip(verdicts, places, strict=True) if v.tag.is_failure or (v.segment and place is None)]
        if 2 * len(lost) > size:
            return next((verdict for verdict in lost if verdict.tag.is_failure), lost[0])
        spans = [(place, verdict) for verdict, place in zip(verdicts, places, strict=True) if place is not None]
        return self._elect(response, spans, size - len(lost))

    def _elect(self, response: str, spans: Sequence[tuple[tuple[int, int], Verdict]], voters: int) -> Verdict:
        needed = {"majority": voters // 2 + 1, "intersection": voters, "union": 1}[self._rule]
        size = len(self.members)
        votes = [0] * len(response)
        for (start, end), _ in spans:
            for i in range(start, end):
                votes[i] += 1
        places = [place for place in _runs(votes, needed) if any(map(str.isalnum, response[slice(*place)]))]
        if not places:
            said = f"{len(spans)} of {voters} critiques quote a place, and no place has the votes for {self._rule}"
            return Verdict(Tag.ABSTAINED, critique=said, confidence=round(max(votes, default=0) / size, 3))
        start, end = max(places, key=lambda place: (max(votes[slice(*place)]), -place[0]))
        confidence = round(max(votes[start:end]) / size, 3)
        _, best = max(spans, key=lambda pair: min(end, pair[0][1]) - max(start, pair[0][0]))
        segment = response[start:end]
        start += len(segment) - len(segment.lstrip())
        elected = Verdict(Tag.FOUND, best.critique, segment.strip(), response[max(0, start - 80) : start], confidence)
        for voter in (best, *(verdict for _, verdict in spans)):  # the first who corrects the step that is blamed
            place = corrected(response, voter)
            if place is not None and (told := with_correction(elected, response, place[1], place[0])).correction:
                return told
        return elected

    @property
    def identity(self) -> Mapping[str, str] | None:
        """What decides the answers; None when a member does not say."""
        parts = self.parts()
        return None if parts is None else {"oracle": f"{self.name} {self._rule}", "members": " + ".join(parts)}


def _runs(votes: Sequence[int], needed: int) -> list[tuple[int, int]]:
    """The stretches, as half-open indices, in which everything has the votes."""
    edges = [i for i in range(len(votes) + 1) if _has(votes, i, needed) != _has(votes, i - 1, needed)]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _has(votes: Sequence[int], i: int, needed: int) -> bool:
    return 0 <= i < len(votes) and votes[i] >= needed
