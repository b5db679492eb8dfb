"""The formula that the project is named after."""

from collections.abc import Sequence

import numpy as np

from cal_grpo.alignment import Miss, TokenSpan
from cal_grpo.credit.types import Batch, Weights


def construct_sparse_rewards(
    spans: Sequence[TokenSpan | Miss | None], lengths: Sequence[int] | np.ndarray, negative_reward: float = -1.0
) -> np.ndarray:
    """``negative_reward / n`` on the n tokens of each span, 0 elsewhere.

    Args:
        spans: one entry a completion; a ``Miss`` or None gives a row of zeros.
        lengths: completion tokens of each row.
        negative_reward: total reward of an error span, < 0.

    Returns:
        rewards_BT, float32 (B, max(lengths)).

    Raises:
        ValueError: counts differ, a span is none or leaves its row, or ``negative_reward`` is not below 0.
    """
    if len(spans) != len(lengths):
        raise ValueError(f"got {len(spans)} spans for {len(lengths)} lengths; expected one span (or None) a completion")
    if not negative_reward < 0:
        raise ValueError(f"negative_reward is {negative_reward}; expected a number below 0, such as -1.0")
    rewards_BT = np.zeros((len(spans), int(max(lengths, default=0))), dtype=np.float32)
    for row, span in enumerate(spans):
        if span is None or isinstance(span, Miss):
            continue
        if not isinstance(span, TokenSpan):
            raise ValueError(f"row {row}: span is {span!r:.60}; expected a TokenSpan, a Miss or None")
        if not 0 <= span.start < span.end <= lengths[row]:
            raise ValueError(f"row {row}: span [{span.start}, {span.end}) does not lie in its {lengths[row]} tokens")
        rewards_BT[row, span.start : span.end] = negative_reward / len(span)
    return rewards_BT


def sparse(batch: Batch, weights: Weights) -> np.ndarray:
    """The sparse reward itself as the advantage: right answers 0, wrong ones ``negative_reward / n`` on the error.

    Nothing pushes up, so without a KL term this destroys a policy; ``config`` warns.
    """
    spans = [None if right else span for right, span in zip(batch.correct_B, batch.spans, strict=True)]
    return construct_sparse_rewards(spans, batch.lengths_B, weights.negative_reward)
