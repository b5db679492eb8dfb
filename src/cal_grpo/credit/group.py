"""GRPO's whole-answer credit, which every formula builds on or is compared with."""

import numpy as np

from cal_grpo.credit.types import Batch, Weights

_EPSILON = 1e-6  # Tunix's, so that both engines' `grpo` agree (tunix 0.1.7, rl/algo_core.py, compute_advantages)


def group_relative(rewards_B: np.ndarray, group_size: int) -> np.ndarray:
    """``(r - mean) / (std + 1e-6)`` within each group, sample std (ddof = 1), float32 (B,).

    Source: GRPO, arXiv 2402.03300, section 4.1.2 (outcome supervision).
    """
    rewards_QG = np.asarray(rewards_B, dtype=np.float64).reshape(-1, group_size)
    centred_QG = rewards_QG - rewards_QG.mean(axis=1, keepdims=True)
    advantages_QG = centred_QG / (rewards_QG.std(axis=1, ddof=1, keepdims=True) + _EPSILON)
    return advantages_QG.reshape(-1).astype(np.float32)


def token_mask(lengths_B: np.ndarray) -> np.ndarray:
    """bool (B, T), True on the completion's tokens."""
    lengths_B = np.asarray(lengths_B)
    return np.arange(int(max(lengths_B, default=0)))[None, :] < lengths_B[:, None]


def grpo(batch: Batch, weights: Weights) -> np.ndarray:
    """Every token of an answer carries the answer's group-relative advantage."""
    advantages_B = group_relative(batch.rewards_B, batch.group_size)
    return np.where(token_mask(batch.lengths_B), advantages_B[:, None], np.float32(0))
