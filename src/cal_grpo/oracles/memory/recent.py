"""The verdicts of this process, a bounded number of them."""

from collections import OrderedDict
from dataclasses import replace

from cal_grpo.oracles.memory.memory import Question
from cal_grpo.oracles.types import Verdict

KEPT = 10_000  # some 20 MB


class Recent:
    """Keeps the verdicts that were used last, of all oracles that make up one.

    Args:
        kept: how many.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._verdicts: OrderedDict[tuple[str, str], Verdict] = OrderedDict()

    def __len__(self) -> int:
        return len(self._verdicts)

    def get(self, place: str, request: str) -> Verdict | None:
        """The verdict of a place on a request; it counts as used now."""
        verdict = self._verdicts.get((place, request))
        if verdict is not None:
            self._verdicts.move_to_end((place, request))
        return verdict

    def put(self, place: str, request: str, verdict: Verdict) -> None:
        """Keep a verdict, marked as cached, and forget the one that was used longest ago."""
        self._verdicts[place, request] = replace(verdict, cached=True)
        self._verdicts.move_to_end((place, request))
        if len(self._verdicts) > self._kept:
            self._verdicts.popitem(last=False)

    async def recall(self, question: Question) -> Verdict | None:
        return self.get(question.place, question.request)

    async def keep(self, question: Question, verdict: Verdict) -> None:
        self.put(question.place, question.request, verdict)
