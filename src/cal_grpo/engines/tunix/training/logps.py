"""Log-probs of tokens without the logits of all of them at once.

Tunix makes the logits of prompts and answers, in float32, and keeps several arrays of that size for the backward pass and the
entropy (tunix 0.1.7, rl/common.py, ``compute_per_token_logps``; rl/algo_core.py, ``grpo_loss_fn``): with 151,936 ids
and 8 answers of 512 tokens, 2.5 GB each. Where they would be large, the hidden states of the answers go through the head
some tokens at a time, in the backward pass again. On a CPU the layers take the rows one at a time too. Small ones are left to
Tunix, bit for bit.
"""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from tunix.rl import algo_core, common
from tunix.rl.rollout.vanilla_rollout import VanillaRollout

from cal_grpo.engines.tunix.models import take_head, vocabulary

LIMIT = 2**27  # bytes of the logits that are there at once: 128 MiB

Loss = Callable[..., tuple[jax.Array, dict[str, Any]]]


def chunk_size(model: Any, prompt_tokens: jax.Array, completion_tokens: jax.Array) -> int | None:
    """Tokens of a chunk; None where the logits of a forward pass are within ``LIMIT``, or the model is not known."""
    rows, length = completion_tokens.shape[0], prompt_tokens.shape[1] + completion_tokens.shape[1]
    a_token = 4 * rows * (vocabulary(model) or 0)
    return max(LIMIT // a_token, 1) if a_token * length > LIMIT else None


def per_token_logps(
    graphdef: Any, state: Any, prompt_tokens: jax.Array, completion_tokens: jax.Array, pad_id: int, eos_id: int, **settings: Any
) -> jax.Array:
    """Tunix's ``compute_per_token_logps``, float32 (B, T), by chunks where the logits are large.

    Args:
        settings: ``temperature`` and ``stop_gradient``.
    """
    args = (graphdef, state, prompt_tokens, completion_tokens, pad_id, eos_id)
    size = chunk_size(nnx.merge(graphdef, state), prompt_tokens, completion_tokens)
    if size is None:
        return common.compute_per_token_logps(*args, **settings)
    return _in_chunks(*args, size=size, by_rows=_by_rows(), **settings)[0]


@functools.partial(jax.jit, static_argnames=("pad_id", "eos_id", "size", "by_rows", "stop_gradient", "temperature"))
def _in_chunks(
    graphdef: Any,
    state: Any,
    prompt_tokens: jax.Array,
    completion_tokens: jax.Array,
    pad_id: int,
    eos_id: int,
    size: int,
    by_rows: bool,
    stop_gradient: bool = True,
    temperature: float = 1.0,
) -> tuple[jax.Array, jax.Array]:
    """Log-probs and entropies (without a gradient) of the completions' tokens, each float32 (B, T).

    Args:
        size: tokens of a chunk.
        by_rows: forget a row's activations before the next row's are made, and make them again in the backward pass.
    """
    head, tokens = take_head(nnx.merge(graphdef, state)), completion_tokens.shape[1]
    inputs = common.process_ids(prompt_tokens, completion_tokens, pad_id, eos_id)

    def hidden_states(inputs: tuple[jax.Array, ...]) -> jax.Array:
        # Variables of the loop's own: those of outside could not be rebuilt in a layer that recomputes (flax 0.12.8).
        model = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf, state))
        take_head(model)
        ids_BL, positions_BL, mask_BLL, segments_BL = inputs
        extra = {"segment_ids": segments_BL} if "segment_ids" in inspect.signature(model.__call__).parameters else {}
        return model(ids_BL, positions=positions_BL, cache=None, attention_mask=mask_BLL, **extra)[0]

    if by_rows and not stop_gradient:  # without a backward pass nothing is kept
        rows = jax.tree.map(lambda array: array[:, None], inputs)
        hidden_BLD = jax.lax.map(jax.checkpoint(hidden_states), rows)[:, 0]
    else:
        hidden_BLD = hidden_states(inputs)
    hidden_BTD = hidden_BLD[:, -tokens - 1 : -1]
    if stop_gradient:
        hidden_BTD = jax.lax.stop_gradient(hidden_BTD)

    @jax.checkpoint  # else the backward pass would keep the logits of all chunks
    def chunk(hidden_BCD: jax.Array, ids_BC: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits_BCV = head(hidden_BCD).astype(jnp.float32)
        if temperature not in (0.0, 1.0):
            logits_BCV /= temperature
        entropy_BC = algo_core.compute_entropy_from_logits(jax.lax.stop_gradient(logits_BCV))
        return common.selective_log_softmax(logits_BCV, ids_BC), entropy_BC

    count = -(-tokens // size)
    chunks = (_divided(hidden_BTD, count, size), _divided(completion_tokens, count, size))
    _, both = jax.lax.scan(lambda _, c: (None, chunk(*c)), None, chunks)
    logps_BT, entropy_BT = (_joined(parts)[:, :tokens] for parts in both)
    return (jax.lax.stop_gradient(logps_BT) if stop_gradient else logps_BT), entropy_BT


def _divided(array_BT: jax.Array, count: int, size: int) -> jax.Array:
    """(count, B, size, ...), with zeros at the end."""
    rows, tokens, *rest = array_BT.shape
    padded = jnp.pad(array_BT, [(0, 0), (0, count * size - tokens), *[(0, 0)] * len(rest)])
    return jnp.moveaxis(padded.reshape(rows, count, size, *rest), 1, 0)


def _joined(chunks: jax.Array) -> jax.Array:
    """The inverse of ``_divided``, with its zeros."""
    count, rows, size = chunks.shape
    return jnp.moveaxis(chunks, 0, 1).reshape(rows, count * size)


def in_chunks(loss_fn: Loss) -> Loss:
    """A policy loss of Tunix's on log-probs that are made by chunks where the logits are large; another one as it is.

    It is Tunix's own code with two other names in it: what the one hands to the other are entropies instead of logits.
    """
    if loss_fn is not algo_core.grpo_loss_fn:
        return loss_fn

    def loss(model: Any, train_example: Any, **settings: Any) -> tuple[jax.Array, dict[str, Any]]:
        size = chunk_size(model, train_example.prompt_ids, train_example.completion_ids)
        if size is None:
            return loss_fn(model, train_example, **settings)
        names = dict(vars(common), compute_per_token_logps=functools.partial(_logps_and_entropy, size))
        ours = {"common": types.SimpleNamespace(**names), "compute_entropy_from_logits": lambda entropy_BT: entropy_BT}
        return types.FunctionType(loss_fn.__code__, loss_fn.__globals__ | ours)(model, train_example, **settings)

    return loss


def _logps_and_entropy(
    size: int, *model: Any, return_logits: bool, segment_ids: None, segment_positions: None, **settings: Any
) -> tuple[jax.Array, jax.Array]:
    """Called as the loss calls Tunix's ``compute_per_token_logps``, of whose arguments these three say nothing here."""
    return _in_chunks(*model, size=size, by_rows=_by_rows(), **settings)


def _by_rows() -> bool:
    """On a CPU, XLA keeps what is to be recomputed all the same (jaxlib 0.10.2: ``remat`` saves 3 %, of SmolLM2-135M with 6
    layers); what a turn of a loop makes is gone after it."""
    return jax.default_backend() == "cpu"


def chunk_passes(rl_cluster: Any) -> None:
    """Make a cluster's log-probs of the reference policy, and of its own at the sampling, by chunks too."""
    worker, rollout = rl_cluster.inference_worker, rl_cluster.rollout

    def reference(
        prompt_tokens: jax.Array, completion_tokens: jax.Array, pad_id: int, eos_id: int, temperature: float = 1.0
    ) -> jax.Array:
        graphdef, state = worker._model_states["reference"]
        return per_token_logps(graphdef, state, prompt_tokens, completion_tokens, pad_id, eos_id, temperature=temperature)

    def old(prompt_tokens: jax.Array, completion_tokens: jax.Array) -> jax.Array:
        graphdef, state = rollout._sampler.model_def_and_state()
        return per_token_logps(graphdef, state, prompt_tokens, completion_tokens, rollout.pad_id(), rollout.eos_id())

    worker.get_ref_per_token_logps = reference
    if isinstance(rollout, VanillaRollout):
        rollout.get_per_token_logps = old
