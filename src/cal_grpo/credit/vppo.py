"""VPPO's reward for the verified prefix."""

import numpy as np

from cal_grpo.credit.group import token_mask
from cal_grpo.credit.types import Batch, Weights

_PREFIX_REWARD = 0.5


def vppo(batch: Batch, weights: Weights) -> np.ndarray:
    """Reward to come of each token, minus the group's mean reward; no division by the standard deviation.

    A right answer earns 1 at its end. A wrong one earns 0.5 at the end of its correct prefix, which is shortened to
    ``prefix_share`` of its tokens (rounded down), and so 0.5 on these tokens and 0 behind them. The mean is over the
    answers of the group.

    Source: VPPO, arXiv 2601.18984.
    """
    to_come_BT = np.zeros((len(batch.spans), batch.width), dtype=np.float64)
    earned_B = np.where(batch.correct_B, 1.0, 0.0)
    to_come_BT[batch.correct_B] = 1.0
    for row, span in enumerate(batch.spans):
        kept = int(weights.prefix_share * span.start) if span is not None else 0
        if kept:
            to_come_BT[row, :kept] = earned_B[row] = _PREFIX_REWARD
    means_B = np.repeat(earned_B.reshape(-1, batch.group_size).mean(axis=1), batch.group_size)
    return np.where(token_mask(batch.lengths_B), to_come_BT - means_B[:, None], 0).astype(np.float32)
