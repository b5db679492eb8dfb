"""The first error as a hazard that each step survives or not."""

import numpy as np

from cal_grpo.credit import Batch, Weights


def survival(batch: Batch, weights: Weights) -> np.ndarray:
    """How much each step changed the chance that the answer will be right.

    In a group, the hazard of step k is the share of the answers that reach it without an error and make theirs in it:
    ``h_k = errors_k / reached_k``. The value of having survived k steps is ``V_k = prod_{j > k} (1 - h_j)``. A survived
    step carries ``V_k - V_{k-1}``, the step with the first error ``-V_{k-1}``, what follows 0; a step's tokens carry its
    value each. A wrong answer without a span is left out of the counts and gets zeros.

    Raises:
        ValueError: the batch has no steps.
    """
    if batch.step_ends is None:
        raise ValueError("survival needs the steps of each answer; got none: pass step_ends")
    advantages_BT = np.zeros((len(batch.spans), batch.width), dtype=np.float32)
    for start in range(0, len(batch.spans), batch.group_size):
        rows = [row for row in range(start, start + batch.group_size) if batch.correct_B[row] or batch.spans[row] is not None]
        values = _values(batch, rows)
        for row in rows:
            begin = 0
            for step, end in enumerate(batch.step_ends[row]):
                fails = step == error_step(batch, row)
                advantages_BT[row, begin:end] = (0.0 if fails else values[step + 1]) - values[step]
                if fails:
                    break
                begin = end
    return advantages_BT


def error_step(batch: Batch, row: int) -> int | None:
    """The step that holds the first blamed token, None for a right answer."""
    span = batch.spans[row]
    if batch.correct_B[row] or span is None or batch.step_ends is None:
        return None
    return int(np.searchsorted(batch.step_ends[row], span.start, side="right"))


def _values(batch: Batch, rows: list[int]) -> np.ndarray:
    """float64 (steps + 1,): V_0 .. V_K of one group."""
    assert batch.step_ends is not None
    steps = max((len(batch.step_ends[row]) for row in rows), default=0)
    reached, failed = np.zeros(steps), np.zeros(steps)
    for row in rows:
        wrong = error_step(batch, row)
        reached[: len(batch.step_ends[row]) if wrong is None else wrong + 1] += 1
        if wrong is not None:
            failed[wrong] += 1
    survived = 1 - failed / np.maximum(reached, 1)
    return np.append(np.cumprod(survived[::-1])[::-1], 1.0)
