"""Rollouts: groups of answers, sampled in one jitted loop."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from study.simulator.forward import next_hidden, read_prompts
from study.simulator.qwen2 import Params, Shape, logits


@dataclass(frozen=True)
class Prompts:
    """ids_QP int32 and mask_QP bool, padded on the left."""

    ids_QP: np.ndarray
    mask_QP: np.ndarray


@dataclass(frozen=True)
class Rollouts:
    """ids_BT int32, the end token included and padded behind it; lengths_B without it, as Tunix's vanilla rollout has it;
    logprobs_BT float32, of the sampler; ended_B bool, false for an answer that was cut off.
    """

    ids_BT: np.ndarray
    lengths_B: np.ndarray
    logprobs_BT: np.ndarray
    ended_B: np.ndarray


def pad_prompts(prompts: Sequence[Sequence[int]], length: int, pad_id: int) -> Prompts:
    """Prompts of one batch, padded on the left to ``length``.

    Raises:
        ValueError: a prompt is longer.
    """
    ids_QP = np.full((len(prompts), length), pad_id, np.int32)
    mask_QP = np.zeros((len(prompts), length), bool)
    for row, ids in enumerate(prompts):
        if len(ids) > length:
            raise ValueError(f"prompt {row} has {len(ids)} tokens; expected at most {length}")
        ids_QP[row, length - len(ids) :] = ids
        mask_QP[row, length - len(ids) :] = True
    return Prompts(ids_QP, mask_QP)


@dataclass(frozen=True)
class Sampler:
    """Samples from whatever parameters it is given.

    Attributes:
        shape: of the policy.
        max_tokens: T, tokens of an answer at most.
        eos_id, pad_id: what ends an answer, and what is written behind its end.
    """

    shape: Shape
    max_tokens: int
    eos_id: int
    pad_id: int

    def __call__(self, params: Params, prompts: Prompts, key: jax.Array, group_size: int, temperature: float = 1.0) -> Rollouts:
        """``group_size`` answers to each prompt, group after group. Temperature 0 is greedy."""
        drawn = _sample(self, params, prompts.ids_QP, prompts.mask_QP, key, group_size, temperature)
        ids_BT, logprobs_BT = (np.asarray(array).reshape(-1, self.max_tokens) for array in drawn)
        ended_BT = ids_BT == self.eos_id
        lengths_B = np.where(ended_BT.any(axis=1), ended_BT.argmax(axis=1), self.max_tokens)
        behind_BT = np.arange(self.max_tokens)[None, :] > lengths_B[:, None]
        return Rollouts(np.where(behind_BT, self.pad_id, ids_BT), lengths_B, logprobs_BT, ended_BT.any(axis=1))


@functools.partial(jax.jit, static_argnums=(0, 5, 6))
def _sample(
    sampler: Sampler, params: Params, ids_QP: jax.Array, mask_QP: jax.Array, key: jax.Array, group: int, temperature: float
) -> tuple[jax.Array, jax.Array]:
    shape, width, rows = sampler.shape, sampler.max_tokens, (len(ids_QP), group)
    first_QD, prompts = read_prompts(params, shape, ids_QP, mask_QP)
    first_QGD = jnp.broadcast_to(first_QD[:, None], (*rows, first_QD.shape[-1]))
    empty = jnp.zeros((rows[0], shape.heads * group, width, shape.head_dim))

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        at, hidden_QGD, answers, ids_QGT, logprobs_QGT, done_QG = state
        ids_QG, logprobs_QG = _draw(logits(params, hidden_QGD), jax.random.fold_in(key, at), temperature)
        ids_QG = jnp.where(done_QG, sampler.pad_id, ids_QG)
        ids_QGT, logprobs_QGT = ids_QGT.at[..., at].set(ids_QG), logprobs_QGT.at[..., at].set(logprobs_QG)
        hidden_QGD, answers = next_hidden(params, shape, mask_QP, prompts, answers, ids_QG, at)
        return at + 1, hidden_QGD, answers, ids_QGT, logprobs_QGT, done_QG | (ids_QG == sampler.eos_id)

    def unfinished(state: tuple[Any, ...]) -> jax.Array:
        return (state[0] < width) & ~state[-1].all()

    padding = jnp.full((*rows, width), sampler.pad_id, jnp.int32)
    answers = [(empty, empty) for _ in prompts]
    start = (0, first_QGD, answers, padding, jnp.zeros(padding.shape), jnp.zeros(rows, bool))
    _, _, _, ids_QGT, logprobs_QGT, _ = jax.lax.while_loop(unfinished, step, start)
    return ids_QGT, logprobs_QGT


def _draw(logits: jax.Array, key: jax.Array, temperature: float) -> tuple[jax.Array, jax.Array]:
    """Ids of the vocabulary and their log-probs. One uniform number a row: one a token would cost a layer."""
    if temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32), jnp.zeros(logits.shape[:-1])
    weights = jnp.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    below = _running_sum(weights)
    total = below[..., -1]
    mark = total * jax.random.uniform(key, total.shape)
    ids = jnp.minimum((below <= mark[..., None]).sum(axis=-1), logits.shape[-1] - 1)
    return ids, jnp.log(jnp.take_along_axis(weights, ids[..., None], axis=-1)[..., 0] / total)


def _running_sum(x: jax.Array) -> jax.Array:
    """``cumsum`` of the last axis as two small products of matrices, six times as fast on a CPU."""
    side = 32
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % side)])
    blocks = padded.reshape(*x.shape[:-1], -1, side) @ jnp.triu(jnp.ones((side, side)))
    count = blocks.shape[-2]
    before = blocks[..., -1] @ jnp.triu(jnp.ones((count, count)), 1)
    return (blocks + before[..., None]).reshape(padded.shape)[..., : x.shape[-1]]


@functools.lru_cache(maxsize=4096)
def stream(*keys: int) -> jax.Array:
    """A named random stream: the same keys give the same draws."""
    key = jax.random.key(keys[0])
    for value in keys[1:]:
        key = jax.random.fold_in(key, value)
    return key
