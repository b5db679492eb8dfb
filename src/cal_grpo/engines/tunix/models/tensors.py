"""The tensors of a checkpoint, checked before and after Tunix loads them.

Its loader fails obscurely on mixed dtypes and other shapes and, in one of its modes, leaves placeholders for missing
tensors (tunix 0.1.7, models/safetensors_loader.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import safe_open
from tunix.utils.torch_utils import torch_key_to_jax_key

from cal_grpo.engines.tunix.models.layout import Place
from cal_grpo.errors import UsageError

# Names that some exporters write beside the weights and that no model reads.
_IGNORED_SUFFIXES = ("rotary_emb.inv_freq",)
_DTYPES = {"F64", "F32", "F16", "BF16"}
# The last two parts of a name, to the fields of config.json that give its shape; norms are told by their names.
_Q, _KV = "num_attention_heads x head_dim", "num_key_value_heads x head_dim"
_AXES = {
    "embed_tokens.weight": ("vocab_size", "hidden_size"), "lm_head.weight": ("vocab_size", "hidden_size"),
    "q_proj.weight": (_Q, "hidden_size"), "q_proj.bias": (_Q,), "o_proj.weight": ("hidden_size", _Q),
    "k_proj.weight": (_KV, "hidden_size"), "k_proj.bias": (_KV,),
    "v_proj.weight": (_KV, "hidden_size"), "v_proj.bias": (_KV,),
    "gate_proj.weight": ("intermediate_size", "hidden_size"), "up_proj.weight": ("intermediate_size", "hidden_size"),
    "down_proj.weight": ("hidden_size", "intermediate_size"),
    "q_norm.weight": ("head_dim",), "k_norm.weight": ("head_dim",),
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """A tensor as its file's header tells it."""

    file: Path
    shape: tuple[int, ...]
    dtype: str


def checked_tensors(
    folder: Path, files: Sequence[Path], mapping: dict[str, Any], expected: set[str], config: Any
) -> dict[str, Tensor]:
    """The model's tensors by checkpoint name.

    Args:
        folder: the checkpoint.
        files: its weights.
        mapping: the family's key map.
        expected: the keys of all parameters.
        config: Tunix's model config.

    Raises:
        UsageError: a file cannot be read; a tensor is foreign, missing, there twice, or not of the shape that config.json
            describes or of the others' dtype.
    """
    tensors: dict[str, Tensor] = {}
    names: dict[str, str] = {}  # by key
    dtypes = set()
    for name, tensor in [pair for file in files for pair in _headers(file)]:
        file = tensor.file
        dtypes.add(tensor.dtype)  # of every tensor: the loader reads a whole file as one dtype
        try:
            key, _ = torch_key_to_jax_key(mapping, name)
        except ValueError:
            if name.endswith(_IGNORED_SUFFIXES):
                continue
            raise UsageError(f"{file}: tensor {name!r} has no place in this family; expected its own names") from None
        if key not in expected:
            if name.startswith("lm_head."):  # a tied one, written out by some exporters
                continue
            raise UsageError(f"{file}: tensor {name!r} has no place in the model that config.json describes")
        if (other := names.get(key)) is not None:
            raise UsageError(
                f"{folder}: tensor {name!r} of {file.name} is in {tensors[other].file.name} too; "
                "move one file away, or let model.safetensors.index.json name those to load"
            )
        axes, described = _described(name, config)
        if tensor.shape != described:
            raise UsageError(
                f"{file}: tensor {name!r} has shape {tensor.shape}, but config.json describes {described} ({', '.join(axes)}); "
                "expected weights and config of one model"
            )
        tensors[name], names[key] = tensor, name
    if missing := sorted(key.removeprefix("tmp.") for key in expected - set(names)):
        raise UsageError(f"{folder}: {len(missing)} tensors are missing, first {missing[0]!r}; expected a full checkpoint")
    if len(dtypes) > 1:
        raise UsageError(f"{folder}: tensors of mixed dtypes {sorted(dtypes)}; save the checkpoint in one dtype")
    if unknown := dtypes - _DTYPES:
        raise UsageError(f"{folder}: tensors are of dtype {unknown.pop()}; expected one of {', '.join(sorted(_DTYPES))}")
    return tensors


def check_finite(tensors: Mapping[str, Tensor], arrays: Mapping[str, jax.Array], places: Mapping[str, Place]) -> None:
    """Refuse a checkpoint whose weights hold NaN or infinity.

    Raises:
        UsageError: one does; file and tensor are named.
    """
    for name, place in places.items():
        if not np.isfinite(place.of(np.asarray(arrays[place.path]))).all():
            raise UsageError(
                f"{tensors[name].file}: tensor {name!r} holds a value that is not finite; download or convert the file again"
            )


def _headers(file: Path) -> list[tuple[str, Tensor]]:
    try:
        with safe_open(file, framework="numpy") as f:
            slices = {name: f.get_slice(name) for name in f.keys()}  # noqa: SIM118 - not a dict
            return [(name, Tensor(file, tuple(s.get_shape()), s.get_dtype())) for name, s in slices.items()]
    except Exception as e:
        raise UsageError(f"{file}: cannot be read as safetensors ({e}); download or convert it again") from e


def _described(name: str, config: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The fields of config.json that give a tensor's axes, and their sizes."""
    sizes = {
        "vocab_size": config.num_embed if hasattr(config, "num_embed") else config.vocab_size,
        "hidden_size": config.embed_dim,
        "intermediate_size": config.hidden_dim,
        "head_dim": config.head_dim,
        _Q: config.num_heads * config.head_dim,
        _KV: config.num_kv_heads * config.head_dim,
    }
    axes = _AXES.get(".".join(name.split(".")[-2:]), ("hidden_size",))
    return axes, tuple(sizes[axis] for axis in axes)
