"""Several critiques, one verdict: what most of them blame, what all of them blame, or what any of them blames."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from cal_grpo.errors import UsageError
from cal_grpo.oracles.cascade import close_all
from cal_grpo.oracles.types import Oracle, Query, Tag, Usage, Verdict

Rule = Literal["majority", "intersection", "union"]


class Vote:
    """Asks several oracles, or one several times, at once, and blames what their quotes have in common.

    Args:
        oracles: whom to ask; the same one may be there more than once, which makes sense when it samples its answers.
        rule: characters blamed by more than half of the critiques (``majority``), by all of them (``intersection``) or by
            any (``union``). Of several places the one with most votes is taken, of equals the first.

    A critique that finds no error, abstains or quotes what is not in the response counts against every place. A failed
    call does not count; when all fail, the first failure stands. The confidence is the share of critiques behind the
    place.

    Raises:
        UsageError: no oracle, or an unknown rule.
    """

    name = "vote"

    def __init__(self, oracles: Sequence[Oracle], rule: Rule = "majority") -> None:
        if not oracles:
            raise UsageError("vote got no oracles; expected at least one")
        if rule not in get_args(Rule):
            raise UsageError(f"vote rule is {rule!r}; expected one of {', '.join(get_args(Rule))}")
        self.oracles, self.rule = tuple(oracles), rule

    @property
    def identity(self) -> Mapping[str, str] | None:
        """What decides the answers; None, as for every free oracle, when no member has one."""
        parts = [getattr(oracle, "identity", None) for oracle in self.oracles]
        if not any(parts):
            return None
        members = ", ".join(f"{o.name} {dict(p or {})}" for o, p in zip(self.oracles, parts, strict=True))
        return {"oracle": f"{self.name} {self.rule}", "members": members}

    @property
    def price(self) -> Any:
        """None when the price of a member is not known."""
        prices = [getattr(oracle, "price", 0) for oracle in self.oracles]
        return None if None in prices else prices[-1]

    async def locate(self, query: Query) -> Verdict:
        verdicts = await asyncio.gather(*(oracle.locate(query) for oracle in self.oracles))
        usage = sum((verdict.usage for verdict in verdicts), Usage())
        slowest = max(verdict.usage.latency_s for verdict in verdicts)
        usage = replace(usage, latency_s=slowest)  # they were asked at once
        counted = [verdict for verdict in verdicts if not verdict.tag.is_failure]
        if not counted:
            return replace(verdicts[0], usage=usage)
        spans = [(span, verdict) for verdict in counted if (span := find(query.response, verdict)) is not None]
        return replace(self._elect(query.response, spans, len(counted)), usage=usage)

    def _elect(self, response: str, spans: Sequence[tuple[tuple[int, int], Verdict]], voters: int) -> Verdict:
        needed = {"majority": voters // 2 + 1, "intersection": voters, "union": 1}[self.rule]
        votes = [0] * len(response)
        for (start, end), _ in spans:
            for i in range(start, end):
                votes[i] += 1
        places = [place for place in _runs(votes, needed) if any(map(str.isalnum, response[slice(*place)]))]
        if not places:
            said = f"{len(spans)} of {voters} critiques quote a place, and no place has the votes for {self.rule}"
            return Verdict(Tag.ABSTAINED, critique=said, confidence=round(max(votes, default=0) / voters, 3))
        start, end = max(places, key=lambda place: (max(votes[slice(*place)]), sum(votes[slice(*place)]), -place[0]))
        confidence = round(max(votes[start:end]) / voters, 3)
        _, best = max(spans, key=lambda pair: min(end, pair[0][1]) - max(start, pair[0][0]))
        segment = response[start:end]
        start += len(segment) - len(segment.lstrip())
        return Verdict(Tag.FOUND, best.critique, segment.strip(), response[max(0, start - 80) : start], confidence)

    async def aclose(self) -> None:
        """Close the connections of every member."""
        await close_all(self.oracles)


def find(response: str, verdict: Verdict) -> tuple[int, int] | None:
    """Half-open characters of a verdict's quote, up to white space; of repetitions the one that the hint precedes."""
    words = verdict.segment.split()
    if not words:
        return None
    found = [m.span() for m in re.finditer(r"\s+".join(map(re.escape, words)), response)]
    hint = " ".join((verdict.hint or "").split())[-20:]
    preceded = [span for span in found if hint and " ".join(response[: span[0]].split()).endswith(hint)]
    return next(iter(preceded or found), None)


def _runs(votes: Sequence[int], needed: int) -> list[tuple[int, int]]:
    """The stretches, as half-open indices, in which everything has the votes."""
    edges = [i for i in range(len(votes) + 1) if _has(votes, i, needed) != _has(votes, i - 1, needed)]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _has(votes: Sequence[int], i: int, needed: int) -> bool:
    return 0 <= i < len(votes) and votes[i] >= needed
