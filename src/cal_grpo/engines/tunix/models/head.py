"""A model's last layer apart from the rest, so that it need not be applied to all tokens at once."""

from collections.abc import Callable
from typing import Any

import jax

# Whose forward pass ends with ``embedder.decode``, or ``lm_head`` if there is one, and no more (tunix 0.1.7, ``__call__``).
_MODULES = {f"tunix.models.{name}.model" for name in ("gemma3", "llama3", "qwen2", "qwen3")}


def vocabulary(model: Any) -> int | None:
    """How many logits a token has; None where the head of such a model is not known."""
    if not any(cls.__module__ in _MODULES for cls in type(model).__mro__):  # adapters make a subclass
        return None
    return int(model.embedder.input_embedding.shape[0])


def take_head(model: Any) -> Callable[[jax.Array], jax.Array]:
    """Take the head off a model of a known ``vocabulary``: called from now on, it gives the hidden states (B, L, D).

    The head gives the logits (..., V) of hidden states, as the model did. The model is changed: hand over a copy.
    """
    head: Callable[[jax.Array], jax.Array]
    # Written past flax, which would take a function in a module's place for a change of the graph.
    if hasattr(model, "lm_head"):
        head = model.lm_head
        object.__setattr__(model, "lm_head", _as_it_is)
    else:
        head = model.embedder.decode
        object.__setattr__(model.embedder, "decode", _as_it_is)
    return head


def _as_it_is(hidden: jax.Array) -> jax.Array:
    return hidden
