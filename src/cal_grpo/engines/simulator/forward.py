"""A group's prompt once, its answers behind it."""

from typing import Any

import jax
import jax.numpy as jnp


def empty_cache(config: Any, rows: int, slots: int) -> dict[str, Any]:
    """Tunix's cache of keys and values, zeros (tunix 0.1.7, generate/sampler.py, ``_init_cache``)."""
    shape = (rows, slots, config.num_kv_heads, config.head_dim)
    return {
        f"layer_{i}": {"k": jnp.zeros(shape), "v": jnp.zeros(shape), "end_index": jnp.zeros(rows, jnp.int32)}
        for i in range(config.num_layers)
    }


def read_prompts(model: Any, ids_QP: jax.Array, mask_QP: jax.Array, slots: int) -> tuple[jax.Array, dict[str, Any]]:
    """Logits behind each prompt, float32 (Q, V), and the cache with the prompts in its first P slots.

    Prompts are padded on the left.
    """
    prompts, length = ids_QP.shape
    causal_PS = jnp.arange(slots)[None, :] <= jnp.arange(length)[:, None]
    there_QS = jnp.pad(mask_QP, ((0, 0), (0, slots - length)))
    positions_QP = jnp.maximum(jnp.cumsum(mask_QP, axis=1) - 1, 0)
    cache = empty_cache(model.config, prompts, slots)
    logits_QPV, cache = model(ids_QP, positions_QP, cache, causal_PS[None] & there_QS[:, None, :])
    return logits_QPV[:, -1], cache


def repeat(tree: Any, group_size: int) -> Any:
    """Each row of every leaf, ``group_size`` times."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, group_size, axis=0), tree)


def completion_logits(
    model: Any, prompt_ids_QP: jax.Array, prompt_mask_QP: jax.Array, ids_BT: jax.Array, group_size: int
) -> jax.Array:
    """The logits from which each completion token was drawn, float32 (B, T, V), B = Q * group_size."""
    (_, length), (_, width) = prompt_ids_QP.shape, ids_BT.shape
    slots = length + width
    first_QV, cache = read_prompts(model, prompt_ids_QP, prompt_mask_QP, slots)
    first_BV, cache, prompt_mask_BP = repeat((first_QV, cache, prompt_mask_QP), group_size)
    causal_TS = jnp.arange(slots)[None, :] <= length + jnp.arange(width)[:, None]
    there_BS = jnp.pad(prompt_mask_BP, ((0, 0), (0, width)), constant_values=True)
    positions_BT = prompt_mask_BP.sum(axis=1, keepdims=True) + jnp.arange(width)[None, :]
    later_BTV, _ = model(ids_BT, positions_BT, cache, causal_TS[None] & there_BS[:, None, :])
    return jnp.concatenate([first_BV[:, None], later_BTV[:, :-1]], axis=1)
