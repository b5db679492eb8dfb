"""The loss of an update is the same whatever its micro-batches.

Tunix takes the mean of a micro-batch's tokens (or answers, as ``loss_agg_mode`` says), and then the mean of its micro-batches'
gradients, so that a token counts for more where it has fewer beside it (tunix 0.1.7, rl/common.py, ``aggregate_loss``;
sft/peft_trainer.py, ``optax.MultiSteps``). Each micro-batch's loss is scaled here by its share of the update.
"""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from tunix.rl.grpo.grpo_learner import TrainExample

CORRECTION_LOSS = "correction_loss"
# Means over tokens too, of which Tunix logs the mean over micro-batches.
_LOGGED = ("kl", "entropy", "pg_clipfrac", CORRECTION_LOSS)


@flax.struct.dataclass(frozen=True)
class Share(TrainExample):
    """A micro-batch and, float32 (), its share of the update times the number of micro-batches: 1 where all have as much."""

    weight: jax.Array | float = 1.0


class Shares:
    """How much of one update each of its micro-batches is.

    ``add`` and ``close`` are called by whoever samples, ``weighed`` by whoever updates, on another thread if need be.

    Args:
        loss_agg_mode: Tunix's; ``token-mean`` is a mean over tokens, every other one over answers that have any.
    """

    def __init__(self, loss_agg_mode: str) -> None:
        self._tokens = loss_agg_mode == "token-mean"
        self._sizes: list[int] = []
        self._complete = threading.Event()

    def add(self, example: Any) -> None:
        """Another micro-batch of the update was sampled."""
        self._sizes.append(self._size(example))

    def close(self) -> None:
        """No other one comes."""
        self._complete.set()

    def weighed(self, example: Any) -> Any:
        """The micro-batch with its weight, once the update is whole. One that is all of the update stays Tunix's."""
        self._complete.wait()
        if len(self._sizes) == 1:
            return example
        weight = len(self._sizes) * self._size(example) / max(sum(self._sizes), 1)
        if isinstance(example, Share):
            return dataclasses.replace(example, weight=jnp.float32(weight))
        fields = {field.name: getattr(example, field.name) for field in dataclasses.fields(example)}
        return Share(**fields, weight=jnp.float32(weight))

    def _size(self, example: Any) -> int:
        mask_BT = np.asarray(example.completion_mask)
        return int(mask_BT.sum() if self._tokens else mask_BT.any(axis=1).sum())


def by_share(loss_fn: Callable[..., tuple[jax.Array, dict[str, Any]]]) -> Callable[..., tuple[jax.Array, dict[str, Any]]]:
    """A loss of Tunix's that is scaled by the weight of its micro-batch, as are the numbers that are logged with it."""

    def loss(model: Any, train_example: Any, algo_config: Any) -> tuple[jax.Array, dict[str, Any]]:
        value, aux = loss_fn(model, train_example, algo_config)
        if not isinstance(train_example, Share):
            return value, aux
        weight = train_example.weight
        return value * weight, aux | {name: aux[name] * weight for name in _LOGGED if name in aux}

    return loss
