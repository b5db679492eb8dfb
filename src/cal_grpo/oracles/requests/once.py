"""A question is asked once: not while the same one is in flight, nor where a memory knows the answer."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace

from cal_grpo.oracles.memory import Memories, Question, request_digest
from cal_grpo.oracles.types import Query, Verdict


class Once(ABC):
    """An oracle as its questions meet it; an oracle itself.

    Args:
        name, place: the oracle's, see ``Question``.
        memories: where its verdicts may be known from.
    """

    def __init__(self, name: str, place: str, memories: Memories) -> None:
        self.name, self.place, self.memories = name, place, memories
        self._in_flight: dict[str, asyncio.Task[Verdict]] = {}

    @abstractmethod
    async def find(self, question: Question) -> Verdict:
        """Ask, and keep what comes in the memories."""

    @abstractmethod
    async def note_known(self, question: Question, verdict: Verdict) -> None:
        """Hear of an answer that needed no asking."""

    async def locate(self, query: Query) -> Verdict:
        """The verdict on a query."""
        question = Question(self.place, request_digest(query), query)
        task = self._in_flight.get(question.request)
        if task is None:
            task = self._in_flight[question.request] = asyncio.ensure_future(self._answer(question))
            task.add_done_callback(lambda _: self._in_flight.pop(question.request, None))
            return await asyncio.shield(task)  # whoever gives up waiting does not take the answer from the others
        verdict = replace(await asyncio.shield(task), cached=True)
        await self.note_known(question, verdict)
        return verdict

    async def _answer(self, question: Question) -> Verdict:
        verdict = await self.memories.recall(question)
        if verdict is None:
            return await self.find(question)
        await self.note_known(question, verdict)
        return verdict
