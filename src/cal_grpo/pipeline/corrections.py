"""What should have stood there: a verdict's correction as tokens that follow the sampled ones before the error."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cal_grpo.alignment import Decoded
from cal_grpo.grading import marked_answer
from cal_grpo.oracles import corrected, split_steps
from cal_grpo.pipeline.types import Correction, Judged


@dataclass(frozen=True)
class Corrector:
    """Turns verdicts into rows to learn from.

    Attributes:
        corrections: ``rest``: a correction up to its final answer, which must be graded right. ``step``: its first step alone,
            and so one that stops before a final answer too.
        encode: the policy's ids of a text that nobody vouches for; no text becomes a special token.
        end_id: what ends an answer; None where the end is not trained.
        max_tokens: T, of a completion; a correction that would end behind it is left out.
    """

    corrections: Literal["step", "rest"]
    encode: Callable[[str], Sequence[int]]
    end_id: int | None
    max_tokens: int

    def rows(self, judged: Sequence[Judged]) -> tuple[list[Correction], Counter[str]]:
        """The corrections of a batch, equal ones as one, and how many were left out, by reason.

        Reasons: ``wrong`` final answer; ``unfinished``, without one; ``long``; ``empty``.
        """
        made: dict[tuple[str, tuple[int, ...], tuple[int, ...]], Correction] = {}
        dropped: Counter[str] = Counter()
        for row, j in enumerate(judged):
            found = None if j.verdict is None or j.miss is not None else corrected(j.text, j.verdict)
            if found is None:
                continue
            got = self._correction(row, j, *found)
            if isinstance(got, str):
                dropped[got] += 1
                continue
            key = j.completion.question, tuple(j.completion.token_ids[: got.kept]), got.token_ids
            first = made.setdefault(key, got)
            if first is not got:
                made[key] = Correction(first.row, first.kept, first.token_ids, first.count + 1)
        return list(made.values()), dropped

    def _correction(self, row: int, judged: Judged, cut: int, text: str) -> Correction | str:
        steps = split_steps(text)
        if not steps:
            return "empty"
        regrade = judged.completion.regrade
        if regrade is None:
            raise ValueError("a completion has no regrade; corrections are trained only where they can be graded")
        grade = regrade(judged.text[:cut] + text)
        if not grade.correct and marked_answer(text) is not None:
            return "wrong"
        if self.corrections == "rest" and not grade.correct:
            return "unfinished"
        whole = self.corrections == "rest" or (grade.correct and len(steps) == 1)
        kept, lead = boundary(judged.decoded, cut)
        ids = tuple(self.encode(lead + (text.rstrip() if whole else text[: steps[0].end])))
        if whole and self.end_id is not None:
            ids += (self.end_id,)
        return Correction(row, kept, ids) if kept + len(ids) <= self.max_tokens else "long"


def boundary(decoded: Decoded, cut: int) -> tuple[int, str]:
    """How many sampled tokens end at or before a character, and the text between the last of them and the character."""
    kept = int(decoded.ends_T.searchsorted(cut, side="right"))
    return kept, decoded.text[int(decoded.ends_T[kept - 1]) if kept else 0 : cut]
