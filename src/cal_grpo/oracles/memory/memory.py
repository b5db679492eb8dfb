"""Where a verdict may be known from: one interface for all memories, and the place that asks them in order."""

from dataclasses import dataclass
from typing import Protocol

from cal_grpo.oracles.types import Query, Verdict


@dataclass(frozen=True, slots=True)
class Question:
    """A query on its way to one oracle.

    Attributes:
        place: whose it is, in an oracle made of oracles: "2.3" is the third member of the second; "" is the whole.
        request: the query's digest.
        query: what is asked.
    """

    place: str
    request: str
    query: Query


class Memory(Protocol):
    """Verdicts that need not be asked for again. It is used from the oracle's event loop, and never holds it up."""

    async def recall(self, question: Question) -> Verdict | None:
        """The verdict on a question, if it is known."""

    async def keep(self, question: Question, verdict: Verdict) -> None:
        """Hear of a verdict, which is no failure. When this returns it is as safe as this memory makes it."""


class Memories:
    """Several memories as one, asked from the nearest to the farthest. What a far one knows, the nearer ones keep."""

    def __init__(self, *memories: Memory) -> None:
        self._memories = memories

    async def recall(self, question: Question) -> Verdict | None:
        for number, memory in enumerate(self._memories):
            if (verdict := await memory.recall(question)) is not None:
                for nearer in self._memories[:number]:
                    await nearer.keep(question, verdict)
                return verdict
        return None

    async def keep(self, question: Question, verdict: Verdict) -> None:
        """A failure is kept nowhere."""
        if not verdict.tag.is_failure:
            for memory in reversed(self._memories):
                await memory.keep(question, verdict)
