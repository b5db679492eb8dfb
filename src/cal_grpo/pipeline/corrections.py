"""What should have stood there: a verdict's correction as tokens that follow the sampled ones before the error."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cal_grpo.alignment import Aligner, Decoded
from cal_grpo.credit import Copies
from cal_grpo.grading import marked_answer
from cal_grpo.oracles import Query, copies_reference, corrected, split_steps
from cal_grpo.pipeline.types import Correction, Judged

_GOES_ON = re.compile(r"\w|[.,]\d")  # a word or a number, behind a letter or a digit of it
_TAG = re.compile(r"</?\w+>")


@dataclass(frozen=True)
class Corrector:
    """Turns verdicts into rows to learn from.

    Attributes:
        corrections: ``rest``: a correction up to its final answer, which must be graded right. ``step``: its first step alone,
            and so one that stops before a final answer too.
        encode: the policy's ids of a text that goes on behind others and that nobody vouches for: none of them is special.
            None where it has no such ids.
        max_tokens: T, of a completion; a correction that would end behind it is left out.
        copies: what becomes of one that ``copies_reference``.
    """

    corrections: Literal["step", "rest"]
    encode: Callable[[str], Sequence[int] | None]
    max_tokens: int
    copies: Copies = "keep"

    def rows(self, judged: Sequence[Judged], aligner: Aligner, group_size: int) -> tuple[list[Correction], dict[int, str]]:
        """The corrections of a batch, equal ones of a group as one, and the rows whose correction is left out, with the reason.

        Reasons: ``wrong`` final answer; ``unfinished``, without one; ``same``, it begins with what is blamed; ``long``;
        ``empty``; ``spelling``, the policy's tokens do not spell what was graded, or it spells a special one; ``copied``.

        Raises:
            ValueError: a completion has no ``regrade``.
        """
        made: dict[tuple[int, tuple[int, ...], tuple[int, ...], bool], Correction] = {}
        left_out: dict[int, str] = {}
        for row, j in enumerate(judged):
            found = None if j.verdict is None or j.miss is not None else corrected(j.text, j.verdict)
            if found is None:
                continue
            got = self._correction(row, j, *found, aligner)
            if isinstance(got, str):
                left_out[row] = got
                continue
            key = row // group_size, tuple(j.completion.token_ids[: got.kept]), got.token_ids, got.copied
            first = made.setdefault(key, got)
            if first is not got:
                made[key] = replace(first, count=first.count + 1)
        return list(made.values()), left_out

    def _correction(self, row: int, judged: Judged, cut: int, text: str, aligner: Aligner) -> Correction | str:
        steps, before = split_steps(text), judged.text[:cut]
        if not steps:
            return "empty"
        right = _is_right(judged, before, text)
        if right is False:
            return "wrong"
        if right is None and self.corrections == "rest":
            return "unfinished"
        whole = right is True and (self.corrections == "rest" or len(steps) == 1)
        learned = text.rstrip() if whole else text[: steps[0].end]
        if not whole and _begins(judged.text[cut:], learned.strip()):
            return "same"
        if not whole and _states(learned) and not _grade(judged, before + learned):
            return "wrong"
        copied = copies_reference(Query(judged.completion.question, judged.completion.reference, judged.text), learned)
        if copied and self.copies == "drop":
            return "copied"
        kept, lead = boundary(judged.decoded, cut)
        ids = self.encode(lead + learned)
        if ids is None or not _spells(aligner.decode([*judged.completion.token_ids[:kept], *ids]), kept, before + learned):
            return "spelling"
        ends = [judged.completion.end_id] if whole and judged.completion.end_token else []
        ids = (*ids, *(end for end in ends if end is not None))
        return Correction(row, kept, ids, copied=copied) if kept + len(ids) <= self.max_tokens else "long"


def _is_right(judged: Judged, before: str, text: str) -> bool | None:
    """Whether a correction ends in the right answer; None where it stops before one, without the marker that the answer has.

    Where what stands before it is graded right already, as a right number in it may be, the answer must be its own.
    """
    if _states(judged.text) and not _states(text):
        return None
    return _grade(judged, before + text) and (_grade(judged, text) or not _grade(judged, before))


def _grade(judged: Judged, text: str) -> bool:
    if (regrade := judged.completion.regrade) is None:
        raise ValueError("a completion has no regrade; corrections are trained only where they can be graded")
    return regrade(text).correct


def _states(text: str) -> bool:
    """Whether a text marks a final answer, in its thoughts too."""
    return marked_answer(text) is not None or marked_answer(_TAG.sub("\n", text)) is not None


def _begins(text: str, words: str) -> bool:
    """Whether a text begins with these words and numbers: "so 98" begins with "so", and not with "so 9"."""
    return text.startswith(words) and not (words[-1].isalnum() and _GOES_ON.match(text, len(words)))


def _spells(decoded: Decoded, kept: int, text: str) -> bool:
    return decoded.text == text and not decoded.special_T[kept:].any()


def boundary(decoded: Decoded, cut: int) -> tuple[int, str]:
    """How many sampled tokens end at or before a character, and the text between the last of them and the character."""
    kept = int(decoded.ends_T.searchsorted(cut, side="right"))
    return kept, decoded.text[int(decoded.ends_T[kept - 1]) if kept else 0 : cut]
