"""One GRPO update on per-token advantages."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from study.simulator.forward import completion_hidden
from study.simulator.qwen2 import Params, Shape, logits
from study.simulator.sample import Prompts, Rollouts

_BUCKET = 16  # tokens: answers are cut to a multiple of it, so that few widths are compiled


@dataclass(frozen=True, slots=True)
class LossSettings:
    """``beta`` weighs the KL term to the reference policy; ``temperature`` is the rollouts'."""

    beta: float = 0.02
    temperature: float = 1.0


@dataclass(frozen=True)
class Tokens:
    """What a loss is taken on: prompts, answers cut to the longest one's bucket, and where the answers are."""

    ids_QP: jax.Array
    mask_QP: jax.Array
    ids_BT: jax.Array
    mask_BT: jax.Array

    def fitted(self, values_BT: np.ndarray) -> jax.Array:
        """Values of the completion tokens, float32, with zeros up to this width."""
        padded_BT = np.zeros(self.ids_BT.shape, np.float32)
        padded_BT[:, : values_BT.shape[1]] = values_BT
        return jnp.asarray(padded_BT)


jax.tree_util.register_dataclass(Tokens, ["ids_QP", "mask_QP", "ids_BT", "mask_BT"], [])


def tokens_of(prompts: Prompts, rollouts: Rollouts, end_tokens: bool = False) -> Tokens:
    """The arrays of a batch of rollouts; ``end_tokens``: the tokens that ended answers count too."""
    lengths_B = rollouts.lengths_B + rollouts.ended_B if end_tokens else rollouts.lengths_B
    width = min(-(-int(lengths_B.max()) // _BUCKET) * _BUCKET or _BUCKET, rollouts.ids_BT.shape[1])
    mask_BT = np.arange(width)[None, :] < lengths_B[:, None]
    return Tokens(*map(jnp.asarray, (prompts.ids_QP, prompts.mask_QP, rollouts.ids_BT[:, :width], mask_BT)))


def token_logps(params: Params, shape: Shape, tokens: Tokens, temperature: float) -> tuple[jax.Array, jax.Array]:
    """The log-prob of each completion token, and the entropy of the distribution it was drawn from, float32 (B, T)."""
    hidden_BTD = completion_hidden(params, shape, tokens.ids_QP, tokens.mask_QP, tokens.ids_BT)
    logits_BTV = logits(params, hidden_BTD) / temperature
    # Not ``log_softmax``, which writes another (B, T, V) array: half the time of the loss.
    drawn_BT = (hidden_BTD * params["embedding"][tokens.ids_BT]).sum(axis=-1) / temperature
    normaliser_BT = jax.nn.logsumexp(logits_BTV, axis=-1)
    fixed_BTV = jax.lax.stop_gradient(logits_BTV - normaliser_BT[..., None])
    return drawn_BT - normaliser_BT, -(jnp.exp(fixed_BTV) * fixed_BTV).sum(axis=-1)


def policy_loss(
    logps_BT: jax.Array, mask_BT: jax.Array, advantages_BT: jax.Array, reference_BT: jax.Array | None, beta: float
) -> tuple[jax.Array, jax.Array]:
    """The GRPO loss of one update per batch of rollouts, and its KL; both summed over the completion tokens.

    With one update the policy that sampled is the one that learns: the ratio is 1, clipping does nothing and the gradient
    is that of ``-A log p``. The KL term is ``q/p - 1 - log(q/p)`` (GRPO, arXiv 2402.03300, equations 3 and 4).
    """
    losses_BT = -advantages_BT * jnp.exp(logps_BT - jax.lax.stop_gradient(logps_BT))
    kl_BT = jnp.zeros_like(logps_BT)
    if reference_BT is not None:
        difference_BT = reference_BT - logps_BT
        kl_BT = jnp.exp(difference_BT) - 1 - difference_BT
    return jnp.where(mask_BT, losses_BT + beta * kl_BT, 0).sum(), jnp.where(mask_BT, kl_BT, 0).sum()


class Learner:
    """A policy's parameters and optimizer state, moved by one jitted update.

    Args:
        params: where to start; copied. They are also the reference policy of the KL term.
        shape: of the policy.
        optimizer: as the Tunix engine builds it. All learners of one optimizer object share the compiled update.
        settings: of the loss.
        learning_rate: its factor on the optimizer's updates.
    """

    def __init__(
        self, params: Params, shape: Shape, optimizer: optax.GradientTransformation, settings: LossSettings,
        learning_rate: float = 1.0,
    ) -> None:  # fmt: skip
        self.params = jax.tree.map(jnp.copy, params)
        self._reference = params
        self._shape, self._optimizer, self._settings, self._learning_rate = shape, optimizer, settings, learning_rate
        self._state = optimizer.init(params)

    def update(
        self, prompts: Prompts, rollouts: Rollouts, advantages_BT: np.ndarray, end_tokens: bool = False
    ) -> dict[str, float]:
        """One optimizer step; its loss, gradient norm, KL and entropy."""
        tokens = tokens_of(prompts, rollouts, end_tokens)
        self.params, self._state, numbers = _update(
            self._shape, self._optimizer, self._settings, self.params, self._state, self._reference,
            tokens, tokens.fitted(advantages_BT), self._learning_rate,
        )  # fmt: skip
        return {name: float(value) for name, value in numbers.items()}


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def _update(
    shape: Shape, optimizer: optax.GradientTransformation, settings: LossSettings, params: Params, state: optax.OptState,
    reference: Params, tokens: Tokens, advantages_BT: jax.Array, learning_rate: float,
) -> tuple[Params, optax.OptState, dict[str, jax.Array]]:  # fmt: skip
    count = jnp.maximum(tokens.mask_BT.sum(), 1)  # ``token-mean``

    def loss_of(params: Params, one: Tokens, advantages_BT: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        reference_BT = token_logps(reference, shape, one, settings.temperature)[0] if settings.beta else None
        logps_BT, entropy_BT = token_logps(params, shape, one, settings.temperature)
        loss, kl = policy_loss(logps_BT, one.mask_BT, advantages_BT, reference_BT, settings.beta)
        entropy = jnp.where(one.mask_BT, entropy_BT, 0).sum()
        return loss / count, {"loss": loss / count, "kl": kl / count, "entropy": entropy / count}

    def add(so_far: Any, question: tuple[Tokens, jax.Array]) -> tuple[Any, None]:
        gradient, numbers = jax.grad(loss_of, has_aux=True)(params, *question)
        return jax.tree.map(jnp.add, so_far, (gradient, numbers)), None

    nothing = jax.tree.map(jnp.zeros_like, params), dict.fromkeys(("loss", "kl", "entropy"), jnp.zeros(()))
    (gradient, numbers), _ = jax.lax.scan(add, nothing, by_question((tokens, advantages_BT), len(tokens.ids_QP)))
    updates, state = optimizer.update(gradient, state, params)
    updates = jax.tree.map(lambda change: learning_rate * change, updates)
    return optax.apply_updates(params, updates), state, numbers | {"grad_norm": optax.tree.norm(gradient)}


def by_question(batch: Any, questions: int) -> Any:
    """A leading axis over questions: one at a time fits a processor's cache, which halves the time of an update."""
    return jax.tree.map(lambda array: array.reshape(questions, -1, *array.shape[1:]), batch)
