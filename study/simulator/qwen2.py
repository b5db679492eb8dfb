"""Qwen2 on plain arrays, laid out for small models on a CPU.

Tunix's own model is what it is compared with, in ``study/tests/test_simulator.py``. Written again because Tunix keeps
heads inside tokens, (B, T, N, H), so that XLA for CPUs copies keys and values at every step of a rollout; with heads
outside, (..., N, T, H), attention in a rollout is some twenty times as fast.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from cal_grpo.errors import UsageError

Params = dict[str, Any]
Attend = Callable[[int, jax.Array, jax.Array, jax.Array], jax.Array]
"""(layer, q, k, v) to mixed values; q (..., T, N, H), k and v (..., T, K, H), the result as q."""


@dataclass(frozen=True)
class Shape:
    """What the arrays do not tell."""

    heads: int
    kv_heads: int
    head_dim: int
    rope_theta: float
    norm_eps: float


def from_tunix(model: Any) -> tuple[Shape, Params]:
    """A Tunix Qwen2's numbers, copied.

    Raises:
        UsageError: another family, or an output layer of its own.
    """
    config = model.config
    if type(model).__name__ != "Qwen2" or not config.use_tied_embedding:
        raise UsageError(f"policy is a {type(model).__name__}; expected a Qwen2 with tied embeddings; train it with Tunix")

    def joined(*matrices: jax.Array) -> jax.Array:
        return jnp.concatenate([m.reshape(m.shape[0], -1) for m in matrices], axis=1)

    layers = [
        {
            "attention_norm": jnp.array(layer.input_layernorm.w[...]),
            "qkv": joined(layer.attn.q_proj.w[...], layer.attn.k_proj.w[...], layer.attn.v_proj.w[...]),
            "qkv_bias": jnp.concatenate([layer.attn.q_bias[...], layer.attn.k_bias[...], layer.attn.v_bias[...]]),
            "out": jnp.array(layer.attn.o_proj.w[...].reshape(-1, config.embed_dim)),
            "mlp_norm": jnp.array(layer.post_attention_layernorm.w[...]),
            "gate": jnp.array(layer.mlp.gate_proj.kernel[...]),
            "up": jnp.array(layer.mlp.up_proj.kernel[...]),
            "down": jnp.array(layer.mlp.down_proj.kernel[...]),
        }
        for layer in model.layers
    ]
    shape = Shape(config.num_heads, config.num_kv_heads, config.head_dim, config.rope_theta, config.norm_eps)
    embedding = jnp.array(model.embedder.input_embedding[...])
    return shape, {"embedding": embedding, "layers": layers, "final_norm": jnp.array(model.final_norm.w[...])}


def hidden(params: Params, shape: Shape, ids: jax.Array, positions: jax.Array, attend: Attend) -> jax.Array:
    """What the logits are read from, (..., T, D), for ids and positions (..., T)."""
    x = params["embedding"][ids]
    angles = positions[..., None].astype(jnp.float32) / shape.rope_theta ** (
        jnp.arange(0, shape.head_dim, 2, dtype=jnp.float32) / shape.head_dim
    )
    sin, cos = jnp.sin(angles)[..., None, :], jnp.cos(angles)[..., None, :]
    cuts = [shape.heads * shape.head_dim, (shape.heads + shape.kv_heads) * shape.head_dim]
    for i, layer in enumerate(params["layers"]):
        qkv = _normed(x, layer["attention_norm"], shape.norm_eps) @ layer["qkv"] + layer["qkv_bias"]
        q, k, v = (part.reshape(*part.shape[:-1], -1, shape.head_dim) for part in jnp.split(qkv, cuts, axis=-1))
        mixed = attend(i, _rotated(q, sin, cos), _rotated(k, sin, cos), v)
        x = x + mixed.reshape(*x.shape[:-1], -1) @ layer["out"]
        normed = _normed(x, layer["mlp_norm"], shape.norm_eps)
        x = x + (jax.nn.silu(normed @ layer["gate"]) * (normed @ layer["up"])) @ layer["down"]
    return _normed(x, params["final_norm"], shape.norm_eps)


def logits(params: Params, hidden: jax.Array) -> jax.Array:
    """float32 (..., V)."""
    return hidden @ params["embedding"].T


def _normed(x: jax.Array, weight: jax.Array, epsilon: float) -> jax.Array:
    return weight * (x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon))


def _rotated(x: jax.Array, sin: jax.Array, cos: jax.Array) -> jax.Array:
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
