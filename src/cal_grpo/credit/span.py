"""Credit that keeps GRPO's push on right answers and blames wrong ones on their error span alone."""

import numpy as np

from cal_grpo.credit.group import group_relative, grpo
from cal_grpo.credit.types import Batch, Weights


def balanced(batch: Batch, weights: Weights) -> np.ndarray:
    """Right answers: their group-relative advantage on all tokens. Wrong answers: ``min(A_grpo, negative_reward)`` on
    each token of the span (not divided by its length), 0 elsewhere.
    """
    return _blame(batch, weights, prefix=0.0, right=grpo(batch, weights))


def prefix(batch: Batch, weights: Weights) -> np.ndarray:
    """``balanced``, and the correct work is paid: right answers ``max(A_grpo, prefix_reward)`` on all tokens, where A_grpo is
    not negative; wrong ones ``+prefix_reward`` before the span, the span as in ``balanced``, 0 after it.

    Groups without a right answer teach GRPO nothing; here they teach most.
    """
    return _blame(batch, weights, prefix=weights.prefix_reward, right=_lifted(batch, weights))


def prefix_shortened(batch: Batch, weights: Weights) -> np.ndarray:
    """``prefix``, but only the first ``prefix_share`` of the correct work is paid, rounded down.

    Paying it up to the error pays for more steps before the error; this takes the reason away (VPPO, arXiv 2601.18984).
    """
    return _blame(batch, weights, prefix=weights.prefix_reward, right=_lifted(batch, weights), share=weights.prefix_share)


def even(batch: Batch, weights: Weights) -> np.ndarray:
    """``prefix`` that never pays a wrong answer: where the correct work would earn more than the span costs, it earns as much.

    The reward before the span is ``min(prefix_reward, cost / tokens before it)``, the cost being the span's in all, so that a
    wrong row sums to at most 0, and to 0 where its correct part is long. ``prefix`` pays a wrong answer for its length.
    """
    return _blame(batch, weights, prefix=weights.prefix_reward, right=_lifted(batch, weights), even=True)


def _lifted(batch: Batch, weights: Weights) -> np.ndarray:
    """Group-relative advantages, at least ``prefix_reward`` but where the answer did worse than its group."""
    plain_BT = grpo(batch, weights)
    return np.where(plain_BT < 0, plain_BT, np.maximum(plain_BT, np.float32(weights.prefix_reward)))


def _blame(
    batch: Batch, weights: Weights, prefix: float, right: np.ndarray, share: float = 1.0, even: bool = False
) -> np.ndarray:
    group_B = group_relative(batch.rewards_B, batch.group_size)
    advantages_BT = np.zeros((len(batch.spans), batch.width), dtype=np.float32)
    for row, (is_right, length, span) in enumerate(zip(batch.correct_B, batch.lengths_B, batch.spans, strict=True)):
        if is_right:
            advantages_BT[row, :length] = right[row, :length]
        elif span is not None:
            blame, paid = np.float32(min(group_B[row], weights.negative_reward)), int(share * span.start)
            cost = -float(blame) * len(span)
            advantages_BT[row, :paid] = min(prefix, _down(cost / max(paid, 1))) if even else prefix
            advantages_BT[row, span.start : span.end] = blame
    return advantages_BT


def _down(value: float) -> float:
    """The nearest float32 that is not above a number: so many of them as share a cost do not come to more than it."""
    rounded = np.float32(value)
    return float(np.nextafter(rounded, np.float32(0))) if float(rounded) > value else float(rounded)
