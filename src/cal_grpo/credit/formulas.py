"""The formulas by their names: what the library ships, and a user's own.

The library ships the default, its relatives, and what others have published and a user may want to train with. Controls,
and inventions of ours that the study found no use for, are the study's (``study/controls.py``, ``study/survival.py``).
"""

import inspect
from collections.abc import Sequence

import numpy as np

from cal_grpo.credit.capo import capo
from cal_grpo.credit.group import dr_grpo, grpo, rloo
from cal_grpo.credit.nsr import nsr, w_reinforce
from cal_grpo.credit.probability_mask import probability_mask
from cal_grpo.credit.span import balanced, even, prefix, prefix_shortened
from cal_grpo.credit.sparse import sparse
from cal_grpo.credit.trouble import Fallback
from cal_grpo.credit.types import Batch, Compute, Formula, Weights
from cal_grpo.credit.vppo import vppo
from cal_grpo.errors import UsageError
from cal_grpo.plugins import resolve

FORMULAS: dict[str, Compute] = {
    "sparse": sparse,
    "balanced": balanced,
    "prefix": prefix,
    "even": even,
    "prefix_shortened": prefix_shortened,
    "capo": capo,
    "vppo": vppo,
    "grpo": grpo,
    "dr_grpo": dr_grpo,
    "rloo": rloo,
    "nsr": nsr,
    "w_reinforce": w_reinforce,
    "probability_mask": probability_mask,
}


def formula(credit: str | Compute | Formula) -> Formula:
    """The credit formula of that name, or of a user's own function.

    Args:
        credit: a key of ``FORMULAS``, ``module:name``, a name that a package registers under ``cal_grpo.credit``, or a
            function of a ``Batch`` and ``Weights``, which may say what it needs with ``declares``.

    Raises:
        UsageError: there is none, or it is no such function.
    """
    if isinstance(credit, Formula):
        return credit
    name = credit if isinstance(credit, str) else getattr(credit, "__name__", type(credit).__name__)
    compute = credit if not isinstance(credit, str) else FORMULAS.get(credit) or resolve("credit", credit, FORMULAS)
    if isinstance(compute, Formula):
        return compute
    if not callable(compute) or isinstance(compute, type) or not _takes_two(compute):
        raise UsageError(f"credit {name!r} is {compute!r:.80}; expected a function (batch, weights) -> advantages_BT")
    needs, reads = getattr(compute, "needs_oracle", True), getattr(compute, "reads_logprobs", False)
    return Formula(name, compute, bool(needs), bool(reads))


def assign_credit(
    credit: str | Compute | Formula,
    batch: Batch,
    weights: Weights,
    fallbacks: Sequence[Fallback | None],
    mean_found: float | None = None,
) -> np.ndarray:
    """A formula's advantages, with the declared fallback on every wrong row that has no span.

    Args:
        credit: see ``formula``.
        batch: graded and judged completions.
        weights: the formula's numbers.
        fallbacks: one entry a row; read only where the row is wrong and has no span. ``"drop"`` gives zeros,
            ``"grpo"`` the row's group-relative advantage on all its tokens, ``"mean"`` ``mean_found`` divided among its
            tokens: what a wrong answer loses on the average whose error was found, so that not being found does not pay.
        mean_found: the mean row sum of the update's wrong rows that have a span, of which a positive one counts as 0; None
            where none has one: then ``"mean"`` is ``"grpo"``, and never above 0.

    Returns:
        advantages_BT, float32 (B, max(lengths)).

    Raises:
        UsageError: unknown name; or a user's formula gave something else than finite (B, T) numbers.
        ValueError: a wrong row has neither a span nor a fallback: blame that was lost on the way.
    """
    chosen = formula(credit)
    advantages_BT = _checked(chosen, chosen.compute(batch, weights), batch)
    if not chosen.needs_oracle:
        return advantages_BT
    plain_BT = grpo(batch, weights)
    rows = zip(batch.correct_B, batch.spans, fallbacks, batch.lengths_B, strict=True)
    for row, (right, span, fallback, length) in enumerate(rows):
        if right or span is not None:
            continue
        if fallback is None:
            raise ValueError(f"row {row} is wrong and has neither a span nor a fallback")
        advantages_BT[row] = plain_BT[row] if fallback == "grpo" else 0.0
        if fallback == "mean":
            advantages_BT[row] = np.minimum(plain_BT[row], 0.0)
            if mean_found is not None:
                advantages_BT[row, :length] = min(mean_found, 0.0) / max(length, 1)
    return advantages_BT


def _checked(chosen: Formula, advantages_BT: np.ndarray, batch: Batch) -> np.ndarray:
    """float32, a copy where it was something else; what lies behind a row's length is 0."""
    expected = (len(batch.spans), batch.width)
    try:
        array_BT = np.array(advantages_BT, dtype=np.float32)
    except (TypeError, ValueError) as e:
        raise UsageError(f"credit {chosen.name!r} gave {type(advantages_BT).__name__}; expected an array of numbers") from e
    if array_BT.shape != expected:
        raise UsageError(f"credit {chosen.name!r} gave an array of shape {array_BT.shape}; expected {expected}, (B, T)")
    array_BT[np.arange(batch.width)[None, :] >= np.asarray(batch.lengths_B)[:, None]] = 0.0
    if not np.isfinite(array_BT).all():
        row = int(np.argwhere(~np.isfinite(array_BT))[0][0])
        raise UsageError(f"credit {chosen.name!r} gave a number that is not finite in row {row}; expected finite advantages")
    return array_BT


def _takes_two(compute: Compute) -> bool:
    try:
        inspect.signature(compute).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True
