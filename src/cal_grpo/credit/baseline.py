"""Which answers is an answer compared with?"""

from typing import Literal, get_args

from cal_grpo.errors import UsageError

Baseline = Literal["group", "batch"]
"""``group``: those to its question. ``batch``: all of its update, which is one group then."""


def check_baseline(baseline: Baseline, num_generations: int, *, use_cal: bool = True, rows: int | None = None) -> None:
    """See that every answer has others to be compared with.

    Args:
        baseline: see ``Baseline``.
        num_generations: answers a question.
        use_cal: whether the credit is ours, and not the engine's own trainer's.
        rows: answers of an update, where that is known.

    Raises:
        UsageError: one has none.
    """
    if baseline not in get_args(Baseline):
        raise UsageError(f"baseline is {baseline!r}; expected one of {', '.join(get_args(Baseline))}")
    if num_generations < 1:
        raise UsageError(f"num_generations is {num_generations}; expected 1 or more")
    if not use_cal and (baseline != "group" or num_generations < 2):
        raise UsageError(
            f"use_cal is false with baseline={baseline} and num_generations={num_generations}; the engine's own trainer has "
            "groups of 2 or more answers to a question: set use_cal=true, or baseline=group and num_generations to 2 or more"
        )
    if baseline == "group" and num_generations < 2:
        raise UsageError(
            f"num_generations is {num_generations} with baseline=group: a group of one has no baseline; set baseline=batch or "
            "num_generations to 2 or more"
        )
    if baseline == "batch" and rows is not None and rows < 2:
        raise UsageError(
            f"baseline is batch and an update has {rows} answer, which has no other to be compared with; raise batch_size or "
            "num_generations"
        )
