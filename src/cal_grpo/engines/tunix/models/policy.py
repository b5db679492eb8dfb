"""A loaded policy, and where the tensors of its checkpoint lie in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tunix.models import safetensors_loader
from tunix.utils.torch_utils import torch_key_to_jax_key

from cal_grpo.config import LoraSection
from cal_grpo.engines.tunix.models.families import Family
from cal_grpo.engines.tunix.models.layout import Place


@dataclass(frozen=True)
class Policy:
    """A loaded policy and what is needed to write it back.

    Attributes:
        model: Tunix's model, float32 parameters unless asked otherwise.
        tokenizer: the folder's Hugging Face tokenizer.
        folder: where it came from.
        family: how names map.
        shapes: checkpoint name to shape of every tensor of the model.
        eos_ids: token ids that end a completion (``generation_config.json`` may list several).
        lora: the adapters that ``model`` has, if it has any.
        base: with adapters, the frozen model below them, sharing its buffers with ``model``.
    """

    model: Any
    tokenizer: Any
    folder: Path
    family: Family
    shapes: dict[str, tuple[int, ...]]
    eos_ids: tuple[int, ...]
    lora: LoraSection | None = None
    base: Any = None

    def reference(self) -> nnx.Module:
        """The model as it is now, frozen: the one below the adapters, or a copy with its own buffers."""
        if self.base is not None:
            return self.base
        graph, state = nnx.split(self.model)
        return nnx.merge(graph, jax.tree.map(jnp.copy, state))

    def arrays(self, model: Any = None) -> dict[str, np.ndarray]:
        """Parameters by dotted path, float32, of ``model`` (default: the policy's own)."""
        found = leaves(nnx.state(self.model if model is None else model, nnx.Param).to_pure_dict())
        return {path: np.asarray(leaf, dtype=np.float32) for path, leaf in found.items()}

    def places(self) -> dict[str, Place]:
        """Where each of the checkpoint's tensors lies in the model."""
        mapping = self.family.key_mapping(self.model.config)
        places = self.family.places(leaves(nnx.state(self.model, nnx.Param).to_pure_dict()))
        return {name: places[torch_key_to_jax_key(mapping, name)[0]] for name in self.shapes}


def leaves(tree: Any) -> dict[str, Any]:
    """A model's parameters by dotted path."""
    return {safetensors_loader.path_to_key(path).removesuffix(".value"): x for path, x in jax.tree.leaves_with_path(tree)}
