"""An oracle made of oracles: what all of these are together."""

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Self

from cal_grpo.alignment import Miss, find_quote
from cal_grpo.errors import UsageError
from cal_grpo.oracles.protocol import Oracle, ask, check_oracle
from cal_grpo.oracles.types import Query, Usage, Verdict

Find = Callable[[str, str, str | None], tuple[int, int] | Miss]
"""``(response, segment, hint) -> half-open characters``, or why the quote has no place."""


class Composite:
    """The part of a cascade and of a vote that is the same. Members may be composites.

    Args:
        members: whom to ask.

    Attributes:
        name: as the judge log has it.
        draws_again: whether a member that is there more than once gives another answer each time.
        find: what decides whether a quote is an answer; see ``maps_with``.

    Raises:
        UsageError: no member, or one that is no oracle.
    """

    name: str
    draws_again = False
    find: Find = staticmethod(find_quote)

    def __init__(self, members: Sequence[Oracle]) -> None:
        if not members:
            raise UsageError(f"{self.name} got no oracles; expected at least one")
        for member in members:
            check_oracle(member)
        self.members = tuple(members)

    async def ask(self, number: int, query: Query) -> Verdict:
        """One member's verdict."""
        return await ask(self.members[number], query)

    def over(self, members: Sequence[Oracle]) -> Self:
        """The same with other members; what it counts is counted together."""
        other = copy.copy(self)
        other.members = tuple(members)
        return other

    def place(self, response: str, verdict: Verdict) -> tuple[int, int] | None:
        """Half-open characters of the response that a verdict quotes; None where it quotes nothing, or what has no place."""
        found = self.find(response, verdict.segment, verdict.hint) if verdict.segment else None
        return None if isinstance(found, Miss) else found

    def maps_with(self, find: Find) -> None:
        """From now on a quote is an answer where ``find`` finds it, here and in every member that is made of others."""
        self.find = find
        for member in self.members:
            if isinstance(member, Composite):
                member.maps_with(find)

    def parts(self) -> list[str] | None:
        """What decides each member's answers; None when one of them does not say."""
        identities: list[Mapping[str, str] | None] = [getattr(member, "identity", None) for member in self.members]
        told = [", ".join(f"{name}: {value}" for name, value in part.items()) for part in identities if part is not None]
        return told if len(told) == len(identities) else None

    async def aclose(self) -> None:
        """Close the connections of every member."""
        for member in {id(member): member for member in self.members}.values():
            aclose = getattr(member, "aclose", None)
            if aclose is not None:
                await aclose()


def leaves(oracle: Oracle) -> list[Oracle]:
    """The oracles that are asked in the end, from left to right."""
    return [leaf for member in oracle.members for leaf in leaves(member)] if isinstance(oracle, Composite) else [oracle]


def over_leaves(oracle: Oracle, wrap: Callable[[Oracle, str, int], Oracle]) -> Oracle:
    """The same oracle with every leaf wrapped.

    Args:
        oracle: a composite or a leaf.
        wrap: gets the leaf, its place ("2.3" is the third member of the second; "" the whole) and the number of the
            critique that it is asked for, from 0: the leaves of a vote that are the same draw again, those of a cascade's
            stages do not.
    """
    return _over(oracle, "", Counter(), wrap)[0]


def _over(
    oracle: Oracle, place: str, drawn: Counter[str], wrap: Callable[[Oracle, str, int], Oracle]
) -> tuple[Oracle, Counter[str]]:
    """The wrapped oracle, and the critiques that were drawn of each leaf by then."""
    if not isinstance(oracle, Composite):
        identity = getattr(oracle, "identity", None)
        leaf = f"{id(oracle)}" if identity is None else json.dumps(dict(identity), sort_keys=True, default=str)
        return wrap(oracle, place, drawn[leaf]), drawn + Counter([leaf])
    members, after = [], drawn
    for number, member in enumerate(oracle.members, 1):
        before = after if oracle.draws_again else drawn
        inner, drawn_then = _over(member, f"{place}.{number}".lstrip("."), before, wrap)
        members.append(inner)
        after = after | drawn_then  # the greater number of each
    return oracle.over(members), after


def together(verdicts: Sequence[Verdict], verdict: Verdict) -> Verdict:
    """What several verdicts come to, with what they cost.

    That is what the calls of now cost. Where there were none, and a memory answered in their place, it counts as cached,
    at the price of the calls that had bought them.
    """
    calls = sum((v.usage for v in verdicts if not v.cached), Usage())
    bought = [v.usage for v in verdicts if v.cached]
    if not bought or calls.calls or verdict.tag.is_failure:
        return replace(verdict, usage=calls, cached=False)
    return replace(verdict, usage=sum(bought, Usage()), cached=True)
