"""GRPO's whole-answer credit, which every formula builds on or is compared with."""

import numpy as np

from cal_grpo.credit.types import Batch, Weights, declares

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


def on_tokens(batch: Batch, advantages_B: np.ndarray) -> np.ndarray:
    """float32 (B, T): each row's value on all of its tokens."""
    return np.where(token_mask(batch.lengths_B), advantages_B.astype(np.float32)[:, None], np.float32(0))


@declares(needs_oracle=False)
def grpo(batch: Batch, weights: Weights) -> np.ndarray:
    """Every token of an answer carries the answer's group-relative advantage."""
    return on_tokens(batch, group_relative(batch.rewards_B, batch.group_size))


@declares(needs_oracle=False)
def dr_grpo(batch: Batch, weights: Weights) -> np.ndarray:
    """``r - mean`` on every token: GRPO without the division by the group's standard deviation.

    Its other half, a constant length normaliser, is the engine's aggregation of the loss.

    Source: Dr. GRPO, arXiv 2503.20783.
    """
    rewards_QG = np.asarray(batch.rewards_B, dtype=np.float64).reshape(-1, batch.group_size)
    centred_B = (rewards_QG - rewards_QG.mean(axis=1, keepdims=True)).reshape(-1)
    return on_tokens(batch, centred_B)


@declares(needs_oracle=False)
def rloo(batch: Batch, weights: Weights) -> np.ndarray:
    """``r_i`` minus the mean reward of the *other* answers to the question, on every token.

    Source: RLOO, arXiv 2402.14740. It equals ``G / (G - 1)`` times ``dr_grpo``.
    """
    rewards_QG = np.asarray(batch.rewards_B, dtype=np.float64).reshape(-1, batch.group_size)
    others_QG = (rewards_QG.sum(axis=1, keepdims=True) - rewards_QG) / (batch.group_size - 1)
    return on_tokens(batch, (rewards_QG - others_QG).reshape(-1))
