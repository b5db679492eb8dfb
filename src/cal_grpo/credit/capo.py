"""CAPO's asymmetric rewards."""

import numpy as np

from cal_grpo.credit.group import token_mask
from cal_grpo.credit.types import Batch, Weights

_EPSILON = 1e-6


def capo(batch: Batch, weights: Weights) -> np.ndarray:
    """``2 * correct - 1[token in a wrong step]``, normalised over all tokens of the group.

    Right answers have +2 on every token, wrong ones 0 and -1 on the span. The published method also finds wrong steps in
    right answers and all wrong steps of an answer; here a right answer is asked nothing, and of a wrong one the first
    error is known.

    Source: CAPO, arXiv 2508.02298.
    """
    rewards_BT = np.zeros((len(batch.spans), batch.width), dtype=np.float64)
    rewards_BT[batch.correct_B] = 2.0
    for row, span in enumerate(batch.spans):
        if span is not None:
            rewards_BT[row, span.start : span.end] -= 1.0
    mask_BT = token_mask(batch.lengths_B)
    advantages_BT = np.zeros_like(rewards_BT)
    for start in range(0, len(batch.spans), batch.group_size):
        group = slice(start, start + batch.group_size)
        tokens = rewards_BT[group][mask_BT[group]]
        if len(tokens):
            advantages_BT[group] = (rewards_BT[group] - tokens.mean()) / (tokens.std() + _EPSILON)
    return np.where(mask_BT, advantages_BT, 0).astype(np.float32)
