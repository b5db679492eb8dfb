"""Rollouts: groups of answers, sampled in one jitted loop."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cal_grpo.engines.simulator.forward import read_prompts, repeat


@dataclass(frozen=True)
class Prompts:
    """ids_QP int32 and mask_QP bool, padded on the left."""

    ids_QP: np.ndarray
    mask_QP: np.ndarray


@dataclass(frozen=True)
class Rollouts:
    """ids_BT int32, padded behind the end; lengths_B without the end-of-text token, as Tunix's vanilla rollout has it;
    logprobs_BT float32, of the sampler.
    """

    ids_BT: np.ndarray
    lengths_B: np.ndarray
    logprobs_BT: np.ndarray


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


class Sampler:
    """Samples from whatever parameters it is given.

    Args:
        model: a Tunix model; its graph is kept, its parameters are not.
        max_tokens: T, tokens of an answer at most.
        eos_id, pad_id: what ends an answer, and what is written behind its end.
    """

    def __init__(self, model: nnx.Module, max_tokens: int, eos_id: int, pad_id: int) -> None:
        self._graph, _, self._rest = nnx.split(model, nnx.Param, ...)
        self._max_tokens, self._eos_id, self._pad_id = max_tokens, eos_id, pad_id
        self._sample = jax.jit(self._run, static_argnames=("group_size", "temperature"))

    def __call__(self, params: Any, prompts: Prompts, key: jax.Array, group_size: int, temperature: float = 1.0) -> Rollouts:
        """``group_size`` answers to each prompt, group after group. Temperature 0 is greedy."""
        ids_BT, logprobs_BT = self._sample(
            params, prompts.ids_QP, prompts.mask_QP, key, group_size=group_size, temperature=temperature
        )
        ids_BT = np.asarray(ids_BT)
        ended_BT = ids_BT == self._eos_id
        lengths_B = np.where(ended_BT.any(axis=1), ended_BT.argmax(axis=1), ids_BT.shape[1])
        behind_BT = np.arange(ids_BT.shape[1])[None, :] >= lengths_B[:, None]
        return Rollouts(np.where(behind_BT, self._pad_id, ids_BT), lengths_B, np.asarray(logprobs_BT))

    def _run(
        self, params: Any, ids_QP: jax.Array, mask_QP: jax.Array, key: jax.Array, group_size: int, temperature: float
    ) -> tuple[jax.Array, jax.Array]:
        model = nnx.merge(self._graph, params, self._rest)
        length, slots = ids_QP.shape[1], ids_QP.shape[1] + self._max_tokens
        logits_QV, cache = read_prompts(model, ids_QP, mask_QP, slots)
        logits_BV, cache, mask_BP = repeat((logits_QV, cache, mask_QP), group_size)
        rows = logits_BV.shape[0]
        there_BS = jnp.pad(mask_BP, ((0, 0), (0, self._max_tokens)), constant_values=True)
        prompt_tokens_B = mask_BP.sum(axis=1)

        def draw(logits_BV: jax.Array, at: jax.Array) -> tuple[jax.Array, jax.Array]:
            if temperature == 0:
                ids_B = jnp.argmax(logits_BV, axis=-1)
                return ids_B, jnp.zeros(rows)
            scaled_BV = logits_BV / temperature
            ids_B = jax.random.categorical(jax.random.fold_in(key, at), scaled_BV)
            logprobs_BV = jax.nn.log_softmax(scaled_BV)
            return ids_B, jnp.take_along_axis(logprobs_BV, ids_B[:, None], axis=-1)[:, 0]

        def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
            at, logits_BV, cache, ids_BT, logprobs_BT, done_B = state
            ids_B, logprobs_B = draw(logits_BV, at)
            ids_B = jnp.where(done_B, self._pad_id, ids_B)
            ids_BT = ids_BT.at[:, at].set(ids_B)
            logprobs_BT = logprobs_BT.at[:, at].set(logprobs_B)
            seen_BS = there_BS & (jnp.arange(slots) <= length + at)[None, :]
            logits_BTV, cache = model(ids_B[:, None], (prompt_tokens_B + at)[:, None], cache, seen_BS[:, None, :])
            return at + 1, logits_BTV[:, 0], cache, ids_BT, logprobs_BT, done_B | (ids_B == self._eos_id)

        def unfinished(state: tuple[Any, ...]) -> jax.Array:
            return (state[0] < self._max_tokens) & ~state[-1].all()

        empty_BT = jnp.full((rows, self._max_tokens), self._pad_id, jnp.int32)
        start = (0, logits_BV, cache, empty_BT, jnp.zeros(empty_BT.shape), jnp.zeros(rows, bool))
        _, _, _, ids_BT, logprobs_BT, _ = jax.lax.while_loop(unfinished, step, start)
        return ids_BT, logprobs_BT


@functools.lru_cache(maxsize=4096)
def stream(*keys: int) -> jax.Array:
    """A named random stream: the same keys give the same draws."""
    key = jax.random.key(keys[0])
    for value in keys[1:]:
        key = jax.random.fold_in(key, value)
    return key
