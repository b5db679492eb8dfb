"""A group's prompt once, its answers behind it.

Keys and values are kept a layer, heads outside: those of prompts (Q, N, P, H), those of answers (Q, N * G, T, H): an
axis of length 1 for a group of one would make XLA copy the cache at every token.
"""

import jax
import jax.numpy as jnp

from study.simulator.qwen2 import Params, Shape, hidden, logits

Cache = list[tuple[jax.Array, jax.Array]]


def read_prompts(params: Params, shape: Shape, ids_QP: jax.Array, mask_QP: jax.Array) -> tuple[jax.Array, Cache]:
    """The last hidden state of each prompt (Q, D), and its keys and values. Prompts are padded on the left."""
    cache: Cache = []
    visible_QPP = jnp.tril(jnp.ones((ids_QP.shape[1],) * 2, bool))[None] & mask_QP[:, None, :]

    def attend(layer: int, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        q, k, v = (heads_outside(t, shape) for t in (q, k, v))
        cache.append((k, v))
        scores = _masked(jnp.einsum("qnth,qnsh->qnts", q, k), visible_QPP[:, None], shape)
        return jnp.einsum("qnts,qnsh->qnth", jax.nn.softmax(scores), v).swapaxes(1, 2)

    positions_QP = jnp.maximum(jnp.cumsum(mask_QP, axis=1) - 1, 0)
    return hidden(params, shape, ids_QP, positions_QP, attend)[:, -1], cache


def completion_hidden(params: Params, shape: Shape, ids_QP: jax.Array, mask_QP: jax.Array, ids_BT: jax.Array) -> jax.Array:
    """The hidden state from which each completion token was drawn, (B, T, D); B = Q * G, group after group."""
    (prompts, _), (rows, width) = ids_QP.shape, ids_BT.shape
    group = rows // prompts
    first_QD, cache = read_prompts(params, shape, ids_QP, mask_QP)
    visible_QTS = jnp.concatenate(
        [jnp.repeat(mask_QP[:, None], width, axis=1), jnp.repeat(jnp.tril(jnp.ones((width, width), bool))[None], prompts, 0)],
        axis=2,
    )

    def attend(layer: int, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        q, k, v = (jnp.moveaxis(heads_outside(t, shape), 2, 1) for t in (q, k, v))  # (Q, N, G, T, H)
        keys, values = (
            jnp.concatenate([jnp.repeat(prompt[:, :, None], group, axis=2), own], axis=3)
            for prompt, own in zip(cache[layer], (k, v), strict=True)
        )
        scores = _masked(jnp.einsum("qngth,qngsh->qngts", q, keys), visible_QTS[:, None, None], shape)
        return jnp.transpose(jnp.einsum("qngts,qngsh->qngth", jax.nn.softmax(scores), values), (0, 2, 3, 1, 4))

    ids_QGT = ids_BT.reshape(prompts, group, width)
    positions_QGT = jnp.broadcast_to(mask_QP.sum(axis=1)[:, None, None] + jnp.arange(width), ids_QGT.shape)
    later_QGTD = hidden(params, shape, ids_QGT, positions_QGT, attend)
    first_QGTD = jnp.broadcast_to(first_QD[:, None, None], (prompts, group, 1, first_QD.shape[-1]))
    return jnp.concatenate([first_QGTD, later_QGTD[:, :, :-1]], axis=2).reshape(rows, width, -1)


def next_hidden(
    params: Params, shape: Shape, mask_QP: jax.Array, prompts: Cache, answers: Cache, ids_QG: jax.Array, at: jax.Array
) -> tuple[jax.Array, Cache]:
    """The hidden state behind token ``at`` of each answer, (Q, G, D), and the answers' cache with that token in it."""
    grown: Cache = []

    def attend(layer: int, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        q, k, v = (heads_outside(t, shape) for t in (q, k, v))  # (Q, N, G, H)
        keys, values = (
            jax.lax.dynamic_update_slice_in_dim(kept, new.reshape(*kept.shape[:2], 1, -1), at, axis=2)
            for kept, new in zip(answers[layer], (k, v), strict=True)
        )
        grown.append((keys, values))
        prompt_k, prompt_v = prompts[layer]
        flat = q.reshape(*keys.shape[:2], -1)
        before = _masked(jnp.einsum("qngh,qnph->qngp", q, prompt_k), mask_QP[:, None, None, :], shape)
        own = _masked(jnp.einsum("qmh,qmth->qmt", flat, keys), jnp.arange(keys.shape[2]) <= at, shape)
        own = own.reshape(*before.shape[:-1], -1)
        highest = jnp.maximum(before.max(-1, keepdims=True), own.max(-1, keepdims=True))
        before, own = jnp.exp(before - highest), jnp.exp(own - highest)
        total = before.sum(-1, keepdims=True) + own.sum(-1, keepdims=True)
        later = jnp.einsum("qmt,qmth->qmh", own.reshape(*keys.shape[:3]), values).reshape(q.shape)
        return ((jnp.einsum("qngp,qnph->qngh", before, prompt_v) + later) / total).swapaxes(1, 2)

    positions_QG = jnp.broadcast_to(mask_QP.sum(axis=1)[:, None] + at, ids_QG.shape)
    return hidden(params, shape, ids_QG, positions_QG, attend), grown


def completion_logits(params: Params, shape: Shape, ids_QP: jax.Array, mask_QP: jax.Array, ids_BT: jax.Array) -> jax.Array:
    """The logits from which each completion token was drawn, float32 (B, T, V)."""
    return logits(params, completion_hidden(params, shape, ids_QP, mask_QP, ids_BT))


def heads_outside(x: jax.Array, shape: Shape) -> jax.Array:
    """(..., T, K, H) to (..., N, T, H): each key head as often as query heads share it."""
    return jnp.repeat(x, shape.heads // x.shape[-2], axis=-2).swapaxes(-2, -3)


def _masked(scores: jax.Array, visible: jax.Array, shape: Shape) -> jax.Array:
    return jnp.where(visible, scores * shape.head_dim**-0.5, -1e30)
