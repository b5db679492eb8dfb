"""One GRPO update on per-token advantages."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from cal_grpo.engines.simulator.forward import completion_logits
from cal_grpo.engines.simulator.sample import Prompts, Rollouts


@dataclass(frozen=True, slots=True)
class LossSettings:
    """``beta`` weighs the KL term to the reference policy; ``temperature`` is the rollouts'."""

    beta: float = 0.02
    temperature: float = 1.0


def policy_loss(
    logits_BTV: jax.Array,
    ids_BT: jax.Array,
    mask_BT: jax.Array,
    advantages_BT: jax.Array,
    reference_BT: jax.Array | None,
    settings: LossSettings,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The GRPO loss of one update per batch of rollouts, averaged over all completion tokens (``token-mean``).

    With one update the policy that sampled is the one that learns: the ratio is 1, clipping does nothing and the gradient
    is that of ``-A log p``. The KL term is ``q/p - 1 - log(q/p)`` (GRPO, arXiv 2402.03300, equations 3 and 4).
    """
    logps_BTV = jax.nn.log_softmax(logits_BTV / settings.temperature)
    logps_BT = jnp.take_along_axis(logps_BTV, ids_BT[..., None], axis=-1)[..., 0]
    ratio_BT = jnp.exp(logps_BT - jax.lax.stop_gradient(logps_BT))
    losses_BT = -advantages_BT * ratio_BT
    kl_BT = jnp.zeros_like(logps_BT)
    if reference_BT is not None:
        difference_BT = reference_BT - logps_BT
        kl_BT = jnp.exp(difference_BT) - 1 - difference_BT
        losses_BT += settings.beta * kl_BT
    tokens = jnp.maximum(mask_BT.sum(), 1)

    def mean(values_BT: jax.Array) -> jax.Array:
        return jnp.where(mask_BT, values_BT, 0).sum() / tokens

    entropy_BT = -(jnp.exp(logps_BTV) * logps_BTV).sum(axis=-1)
    return mean(losses_BT), {"kl": mean(kl_BT), "entropy": mean(entropy_BT)}


class Learner:
    """A policy's parameters and optimizer state, moved by one jitted update.

    Args:
        model: a Tunix model; copied. It is also the reference policy of the KL term.
        optimizer: as the Tunix engine builds it.
        settings: of the loss.
    """

    def __init__(self, model: nnx.Module, optimizer: optax.GradientTransformation, settings: LossSettings) -> None:
        self._graph, params, self._rest = nnx.split(model, nnx.Param, ...)
        self.params = jax.tree.map(jnp.copy, params)
        self._reference = jax.tree.map(jnp.copy, params)
        self._optimizer, self._settings = optimizer, settings
        self._state = optimizer.init(self.params)
        self._update = jax.jit(self._step, static_argnames="group_size", donate_argnums=(0, 1))

    def update(self, prompts: Prompts, rollouts: Rollouts, advantages_BT: np.ndarray, group_size: int) -> dict[str, float]:
        """One optimizer step; its loss, gradient norm, KL and entropy."""
        width = rollouts.ids_BT.shape[1]
        padded_BT = np.zeros(rollouts.ids_BT.shape, np.float32)
        padded_BT[:, : advantages_BT.shape[1]] = advantages_BT
        mask_BT = np.arange(width)[None, :] < rollouts.lengths_B[:, None]
        self.params, self._state, numbers = self._update(
            self.params, self._state, self._reference, prompts.ids_QP, prompts.mask_QP, rollouts.ids_BT, mask_BT, padded_BT,
            group_size=group_size,
        )  # fmt: skip
        return {name: float(value) for name, value in numbers.items()}

    def _step(
        self, params: Any, state: Any, reference: Any, prompt_ids_QP: jax.Array, prompt_mask_QP: jax.Array,
        ids_BT: jax.Array, mask_BT: jax.Array, advantages_BT: jax.Array, group_size: int,
    ) -> tuple[Any, Any, dict[str, jax.Array]]:  # fmt: skip
        def logits_of(params: Any) -> jax.Array:
            model = nnx.merge(self._graph, params, self._rest)
            return completion_logits(model, prompt_ids_QP, prompt_mask_QP, ids_BT, group_size)

        reference_BT = None
        if self._settings.beta:
            logps_BTV = jax.nn.log_softmax(logits_of(reference) / self._settings.temperature)
            reference_BT = jnp.take_along_axis(logps_BTV, ids_BT[..., None], axis=-1)[..., 0]

        def loss_of(params: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
            return policy_loss(logits_of(params), ids_BT, mask_BT, advantages_BT, reference_BT, self._settings)

        (loss, numbers), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, state = self._optimizer.update(gradient, state, params)
        norm = optax.tree.norm(gradient)
        return optax.apply_updates(params, updates), state, numbers | {"loss": loss, "grad_norm": norm}
