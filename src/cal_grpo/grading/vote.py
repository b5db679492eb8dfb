"""Which answer do most samples of a question state?"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from cal_grpo.grading.compare import compare
from cal_grpo.grading.types import Grade

TIME_LIMIT_S = 10.0  # of a question; then expressions that are not written alike count as different


@dataclass(frozen=True, slots=True)
class Majority:
    """The outcome of a majority vote.

    Attributes:
        answer: as the first sample of the winning group wrote it; None when no sample states one.
        votes: samples in that group.
        correct: whether it equals the reference.
    """

    answer: str | None
    votes: int
    correct: bool


def majority(grades: Sequence[Grade]) -> Majority:
    """The answer that most samples state (self-consistency, arXiv 2203.11171).

    Right answers are one group, for each equals the reference; wrong ones are grouped as the grader compares answers. A
    tie goes to the group whose first sample came first, which is a fair draw, because samples come in no order. A sample
    without an answer has no vote.
    """
    give_up = time.monotonic() + TIME_LIMIT_S
    groups: list[list[Grade]] = []
    for grade in grades:
        if grade.extracted is None:
            continue
        for group in groups:
            if _same(grade, group[0], by_math=time.monotonic() < give_up):
                group.append(grade)
                break
        else:
            groups.append([grade])
    if not groups:
        return Majority(None, 0, False)
    winner = max(groups, key=len)  # the first of several: groups stand in the order of their first sample
    return Majority(winner[0].extracted, len(winner), winner[0].correct)


def _same(a: Grade, b: Grade, by_math: bool) -> bool:
    if a.correct or b.correct:
        return a.correct and b.correct
    assert a.extracted is not None
    assert b.extracted is not None
    return compare(a.extracted, b.extracted, by_math)[0]
