"""What should have stood there, learned by heart beside Tunix's loss.

Tunix's policy loss is called as it is, and a second forward pass over two more fields of the example is added to it. As rows of
the batch they would get its ratio, clip and KL term, and swell its mean over tokens (tunix 0.1.7, rl/algo_core.py,
``grpo_loss_fn``).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cal_grpo.engines.tunix.training.logps import Loss, per_token_logps
from cal_grpo.engines.tunix.training.shares import CORRECTION_LOSS, Share
from cal_grpo.pipeline import Completion, Correction


@flax.struct.dataclass(frozen=True)
class Corrected(Share):
    """A micro-batch with what some of its answers should have gone on with.

    Attributes:
        correction_ids: int32 (B, T), behind the row's prompt: the sampled ids before the error, the correction's, padding.
        correction_weights: float32 (B, T), the rows that a correction stands for on its own ids, 0 elsewhere.
    """

    correction_ids: jax.Array | None = None
    correction_weights: jax.Array | None = None


def corrected(example: Any, completions: Sequence[Completion], corrections: Sequence[Correction], pad_id: int) -> Corrected:
    """A micro-batch of Tunix's with its corrections; it has the fields where it has none, so that one update is compiled."""
    shape = np.asarray(example.completion_ids).shape
    ids_BT, weights_BT = np.full(shape, pad_id, np.int32), np.zeros(shape, np.float32)
    for correction in corrections:
        kept = completions[correction.row].token_ids[: correction.kept]
        end = correction.kept + len(correction.token_ids)
        ids_BT[correction.row, :end] = [*kept, *correction.token_ids]
        weights_BT[correction.row, correction.kept : end] = correction.count
    fields = {field.name: getattr(example, field.name) for field in dataclasses.fields(example)}
    return Corrected(
        **fields, weight=jnp.float32(1), correction_ids=jnp.asarray(ids_BT), correction_weights=jnp.asarray(weights_BT)
    )


def with_corrections(loss_fn: Loss, weight: float, pad_id: int, eos_id: int) -> Loss:
    """Tunix's loss, and ``-weight * log p`` of the corrections' ids over the count of sampled tokens: no ratio, clip or KL.

    ``log p`` is at the rollouts' temperature, as in the loss beside it.
    """

    def loss(model: Any, train_example: Any, algo_config: Any) -> tuple[jax.Array, dict[str, Any]]:
        value, aux = loss_fn(model, train_example, algo_config)
        if not isinstance(train_example, Corrected):  # an evaluation's
            return value, aux | {CORRECTION_LOSS: jnp.zeros(())}
        ids_BT, weights_BT = train_example.correction_ids, train_example.correction_weights
        assert ids_BT is not None
        assert weights_BT is not None
        logps_BT = per_token_logps(
            *nnx.split(model), train_example.prompt_ids, ids_BT, pad_id, eos_id,
            stop_gradient=False, temperature=algo_config.temperature,
        )  # fmt: skip
        learned_BT = weights_BT * logps_BT.astype(jnp.float32)
        added = -weight * learned_BT.sum() / jnp.maximum(train_example.completion_mask.sum(), 1)
        return value + added, aux | {CORRECTION_LOSS: added}

    return loss
