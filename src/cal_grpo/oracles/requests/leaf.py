"""An oracle that costs something, in its place: alone, or as one that a cascade or vote asks in the end."""

from collections.abc import Mapping

from cal_grpo.oracles.memory import JudgeLog, Memories, Question
from cal_grpo.oracles.requests.caller import Attempt, Caller
from cal_grpo.oracles.requests.once import Once
from cal_grpo.oracles.types import Verdict


class Leaf(Once):
    """Calls, and writes a line for each. Alone, its answers are final, and have a line each, too.

    Args:
        name, place, memories: see ``Once``; the place is "" where it stands alone.
        caller: makes the calls.
        identity: who is asked, for the log.
        log: where the lines go.
    """

    def __init__(
        self, name: str, place: str, memories: Memories, caller: Caller, identity: Mapping[str, str], log: JudgeLog
    ) -> None:
        super().__init__(name, place, memories)
        self._caller, self._log = caller, log
        self._head = dict(identity) | ({"leaf": place} if place else {})

    async def find(self, question: Question) -> Verdict:
        async def keep(verdict: Verdict) -> None:
            await self.memories.keep(question, verdict)

        async def note(attempt: Attempt) -> None:
            if attempt.made or not self.place:
                final = attempt.last and not self.place
                await self._log.write(question.request, self._head, attempt.verdict, attempt.number, final)

        return await self._caller.ask(question.query, keep, note)

    async def note_known(self, question: Question, verdict: Verdict) -> None:
        self._caller.heard(verdict)
        if not self.place:
            await self._log.write(question.request, self._head, verdict, 0, final=True)
