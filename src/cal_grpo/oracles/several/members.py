"""The oracles that one oracle asks, and what they are together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cal_grpo.oracles.types import Oracle, Query, Usage, Verdict


class Members:
    """Asks oracles by their number, and keeps what they said until ``settle``.

    When the whole is tried again because one member failed, the others are not asked, and not paid, again.
    """

    def __init__(self, oracles: Sequence[Oracle]) -> None:
        self.oracles = tuple(oracles)
        self._said: dict[Query, dict[int, Verdict]] = {}

    async def ask(self, number: int, query: Query) -> Verdict:
        """One member's verdict; one call unless its usage says more or it is ``metered``."""
        said = self._said.setdefault(query, {})
        if number in said:
            return replace(said[number], usage=Usage())
        oracle = self.oracles[number]
        verdict = await oracle.locate(query)
        if not verdict.usage.calls and not getattr(oracle, "metered", False):
            verdict = replace(verdict, usage=replace(verdict.usage, calls=1))
        if not verdict.tag.is_failure:
            said[number] = verdict
        return verdict

    def settle(self, query: Query) -> None:
        """Forget what was said about a query."""
        self._said.pop(query, None)

    def identity(self) -> list[str] | None:
        """What decides each one's answers; None when one of them does not say."""
        parts: list[Mapping[str, str] | None] = [getattr(oracle, "identity", None) for oracle in self.oracles]
        told = [", ".join(f"{name}: {value}" for name, value in part.items()) for part in parts if part is not None]
        return told if len(told) == len(parts) else None

    @property
    def free(self) -> bool:
        return all(getattr(oracle, "free", False) for oracle in self.oracles)

    @property
    def price(self) -> Any:
        """None when one member's price is not known."""
        prices = [getattr(oracle, "price", 0) for oracle in self.oracles]
        return None if None in prices else next((price for price in prices if price), 0)

    async def aclose(self) -> None:
        """Close the connections of every member."""
        for oracle in {id(oracle): oracle for oracle in self.oracles}.values():
            aclose = getattr(oracle, "aclose", None)
            if aclose is not None:
                await aclose()
