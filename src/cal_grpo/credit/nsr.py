"""Learning from wrong answers alone, or nearly."""

import numpy as np

from cal_grpo.credit.group import on_tokens
from cal_grpo.credit.types import Batch, Weights, declares

_POSITIVE_WEIGHT = 0.1


@declares(needs_oracle=False)
def nsr(batch: Batch, weights: Weights) -> np.ndarray:
    """Negative sample reinforcement: -1 on every token of a wrong answer, 0 on right ones.

    Source: arXiv 2506.01347.
    """
    return on_tokens(batch, np.where(batch.correct_B, 0.0, -1.0))


@declares(needs_oracle=False)
def w_reinforce(batch: Batch, weights: Weights) -> np.ndarray:
    """``nsr``, and right answers at a weight of 0.1.

    Source: arXiv 2506.01347.
    """
    return on_tokens(batch, np.where(batch.correct_B, _POSITIVE_WEIGHT, -1.0))
