"""What is each token's advantage? Pure functions on numpy arrays; a new formula is one function and one line here."""

import difflib
from collections.abc import Sequence
from typing import Literal

import numpy as np

from cal_grpo.credit.capo import capo
from cal_grpo.credit.control import random_span, shuffled_verdict
from cal_grpo.credit.group import dr_grpo, group_relative, grpo, rloo, token_mask
from cal_grpo.credit.nsr import nsr, w_reinforce
from cal_grpo.credit.probability_mask import probability_mask
from cal_grpo.credit.span import balanced, prefix, prefix_shortened
from cal_grpo.credit.sparse import construct_sparse_rewards, sparse
from cal_grpo.credit.survival import error_step, survival
from cal_grpo.credit.types import Batch, Formula, Weights
from cal_grpo.credit.vppo import vppo
from cal_grpo.errors import UsageError

FORMULAS: dict[str, Formula] = {
    "sparse": sparse,
    "balanced": balanced,
    "prefix": prefix,
    "prefix_shortened": prefix_shortened,
    "survival": survival,
    "capo": capo,
    "vppo": vppo,
    "grpo": grpo,
    "dr_grpo": dr_grpo,
    "rloo": rloo,
    "nsr": nsr,
    "w_reinforce": w_reinforce,
    "probability_mask": probability_mask,
    "random_span": random_span,
    "shuffled_verdict": shuffled_verdict,
}
# These know nothing of the first error: no oracle is asked, and no fallback is needed.
OUTCOME_ONLY = frozenset({"grpo", "dr_grpo", "rloo", "nsr", "w_reinforce", "probability_mask"})

# These read ``Batch.logprobs``, which an engine otherwise need not compute.
READS_LOGPROBS = frozenset({"probability_mask"})

Fallback = Literal["drop", "grpo"]


def formula(name: str) -> Formula:
    """The credit formula of that name.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    if name not in FORMULAS:
        near = difflib.get_close_matches(name, FORMULAS, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"credit is {name!r}; expected one of {', '.join(FORMULAS)}{guess}")
    return FORMULAS[name]


def assign_credit(name: str, batch: Batch, weights: Weights, fallbacks: Sequence[Fallback | None]) -> np.ndarray:
    """A formula's advantages, with the declared fallback on every wrong row that has no span.

    Args:
        name: key of ``FORMULAS``.
        batch: graded and judged completions.
        weights: the formula's numbers.
        fallbacks: one entry a row; read only where the row is wrong and has no span. ``"drop"`` gives zeros,
            ``"grpo"`` the row's group-relative advantage on all its tokens.

    Returns:
        advantages_BT, float32 (B, max(lengths)).

    Raises:
        UsageError: unknown name.
        ValueError: a wrong row has neither a span nor a fallback: blame that was lost on the way.
    """
    advantages_BT = formula(name)(batch, weights)
    if name in OUTCOME_ONLY:
        return advantages_BT
    plain_BT = grpo(batch, weights)
    for row, (right, span, fallback) in enumerate(zip(batch.correct_B, batch.spans, fallbacks, strict=True)):
        if right or span is not None:
            continue
        if fallback is None:
            raise ValueError(f"row {row} is wrong and has neither a span nor a fallback")
        advantages_BT[row] = plain_BT[row] if fallback == "grpo" else 0.0
    return advantages_BT


__all__ = [
    "FORMULAS",
    "OUTCOME_ONLY",
    "READS_LOGPROBS",
    "Batch",
    "Fallback",
    "Formula",
    "Weights",
    "assign_credit",
    "balanced",
    "construct_sparse_rewards",
    "error_step",
    "formula",
    "group_relative",
    "grpo",
    "prefix",
    "random_span",
    "sparse",
    "token_mask",
]
