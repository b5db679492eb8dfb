"""GRPO on the tokens that were decisions."""

import numpy as np

from cal_grpo.credit.group import grpo
from cal_grpo.credit.types import Batch, Weights, declares


@declares(needs_oracle=False, reads_logprobs=True)
def probability_mask(batch: Batch, weights: Weights) -> np.ndarray:
    """``grpo`` on tokens that the policy sampled with a probability below ``mask_probability``, 0 on all others.

    It needs no judge; whatever does must beat it.

    Raises:
        ValueError: the batch has no log-probs.

    Source: SPO, arXiv 2505.23564.
    """
    if batch.logprobs is None:
        raise ValueError("probability_mask needs the sampler's log-probs; got none: the engine must return them")
    advantages_BT = grpo(batch, weights)
    for row, logprobs_T in enumerate(batch.logprobs):
        advantages_BT[row, : len(logprobs_T)][np.exp(logprobs_T) >= weights.mask_probability] = 0
    return advantages_BT
