"""One GRPO update on per-token advantages."""

import functools
import math
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
_CHUNK = 8  # rows at a time


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
        width = min(values_BT.shape[1], padded_BT.shape[1])  # one more where a cut-off answer stands beside one that ended
        padded_BT[:, :width] = values_BT[:, :width]
        return jnp.asarray(padded_BT)


jax.tree_util.register_dataclass(Tokens, ["ids_QP", "mask_QP", "ids_BT", "mask_BT"], [])


@dataclass(frozen=True)
class Rows:
    """Rows to learn by heart beside the rollouts: one to each prompt, ``weights_BT`` on what is learned of ``ids_BT``."""

    prompts: Prompts
    ids_BT: np.ndarray
    weights_BT: np.ndarray


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
        self,
        prompts: Prompts,
        rollouts: Rollouts,
        advantages_BT: np.ndarray,
        end_tokens: bool = False,
        rows: Rows | None = None,
    ) -> dict[str, float]:
        """One optimizer step; its loss, gradient norm, KL and entropy.

        ``rows`` add ``-weights * log p`` over the count of the rollouts' tokens: no ratio, no clip and no KL.
        """
        tokens = tokens_of(prompts, rollouts, end_tokens)
        return self._step(tokens, tokens.fitted(advantages_BT), rows, float(np.asarray(tokens.mask_BT).sum()))

    def learn(self, rows: Rows) -> dict[str, float]:
        """One optimizer step on rows alone, over the sum of their weights."""
        return self._step(None, None, rows, float(rows.weights_BT.sum()))

    def _step(self, tokens: Tokens | None, advantages_BT: Any, rows: Rows | None, count: float) -> dict[str, float]:
        self.params, self._state, numbers = _update(
            self._shape, self._optimizer, self._settings, self.params, self._state, self._reference,
            tokens, advantages_BT, _fixed(rows), max(count, 1.0), self._learning_rate,
        )  # fmt: skip
        return {name: float(value) for name, value in numbers.items()}


def _fixed(rows: Rows | None) -> tuple[Tokens, jax.Array] | None:
    """In few shapes, so that few are compiled: a multiple of ``_CHUNK`` rows and of ``_BUCKET`` tokens."""
    if rows is None or not len(rows.ids_BT):
        return None
    count, width = len(rows.ids_BT), int(np.flatnonzero(rows.weights_BT.any(axis=0))[-1]) + 1
    high, wide = -count % (4 * _CHUNK), -(-width // _BUCKET) * _BUCKET
    ids_BT, weights_BT = (
        np.pad(a[:, :width], ((0, high), (0, wide - width))) for a in (rows.ids_BT, rows.weights_BT.astype(np.float32))
    )
    ids_QP, mask_QP = (np.pad(a, ((0, high), (0, 0)), mode="edge") for a in (rows.prompts.ids_QP, rows.prompts.mask_QP))
    return Tokens(*map(jnp.asarray, (ids_QP, mask_QP, ids_BT, weights_BT > 0))), jnp.asarray(weights_BT)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def _update(
    shape: Shape, optimizer: optax.GradientTransformation, settings: LossSettings, params: Params, state: optax.OptState,
    reference: Params, tokens: Tokens | None, advantages_BT: jax.Array | None, rows: tuple[Tokens, jax.Array] | None,
    count: float, learning_rate: float,
) -> tuple[Params, optax.OptState, dict[str, jax.Array]]:  # fmt: skip
    def loss_of(params: Params, one: Tokens, advantages_BT: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        reference_BT = token_logps(reference, shape, one, settings.temperature)[0] if settings.beta else None
        logps_BT, entropy_BT = token_logps(params, shape, one, settings.temperature)
        loss, kl = policy_loss(logps_BT, one.mask_BT, advantages_BT, reference_BT, settings.beta)
        entropy = jnp.where(one.mask_BT, entropy_BT, 0).sum()
        return loss / count, {"loss": loss / count, "kl": kl / count, "entropy": entropy / count, "rows_loss": jnp.zeros(())}

    def rows_loss_of(params: Params, some: Tokens, weights_BT: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        logps_BT, _ = token_logps(params, shape, some, settings.temperature)
        loss = -(weights_BT * logps_BT).sum() / count  # a weight of 0 leaves a log-prob out, for all of them are finite
        return loss, {"loss": loss, "kl": jnp.zeros(()), "entropy": jnp.zeros(()), "rows_loss": loss}

    def summed(loss: Any, so_far: Any, parts: Any) -> Any:
        def add(so_far: Any, part: tuple[Tokens, jax.Array]) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, so_far, jax.grad(loss, has_aux=True)(params, *part)), None

        return jax.lax.scan(add, so_far, parts)[0]

    names = ("loss", "kl", "entropy", "rows_loss")
    total = jax.tree.map(jnp.zeros_like, params), dict.fromkeys(names, jnp.zeros(()))
    if tokens is not None:
        questions = len(tokens.ids_QP)
        together = math.gcd(questions, max(_CHUNK * questions // len(tokens.ids_BT), 1))
        total = summed(loss_of, total, by_question((tokens, advantages_BT), questions // together))
    if rows is not None:
        total = summed(rows_loss_of, total, by_question(rows, len(rows[0].ids_QP) // _CHUNK))
    gradient, numbers = total
    updates, state = optimizer.update(gradient, state, params)
    updates = jax.tree.map(lambda change: learning_rate * change, updates)
    return optax.apply_updates(params, updates), state, numbers | {"grad_norm": optax.tree.norm(gradient)}


def by_question(batch: Any, parts: int) -> Any:
    """A leading axis over parts of the batch: a few rows at a time fit a processor's cache, which halves an update's time."""
    return jax.tree.map(lambda array: array.reshape(parts, -1, *array.shape[1:]), batch)
