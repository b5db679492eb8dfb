"""LoRA: low-rank matrices beside the linear layers are trained, and the policy's own weights stay as they are.

Tunix trains whatever LoRA parameters a model has, which qwix adds. The frozen model below them is the reference policy,
so that there is one copy of it in memory.
"""

import dataclasses
import json
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import qwix
from flax import nnx
from safetensors.numpy import save_file

from cal_grpo.config import LoraSection
from cal_grpo.engines.tunix.models.layout import Place, lora_pair
from cal_grpo.engines.tunix.models.policy import Policy
from cal_grpo.errors import UsageError


def with_lora(policy: Policy, lora: LoraSection, seed: int, mesh: jax.sharding.Mesh) -> Policy:
    """The policy with untrained adapters (B is zero: it answers as before), its own model as ``base``.

    Raises:
        UsageError: the modules cannot be adapted apart, or the model has none of them.
    """
    places = policy.places()
    targets = {name: place for name, place in places.items() if _module(name) in lora.modules}
    if not targets:
        raise UsageError(f"lora.modules: {policy.folder} has none of {', '.join(lora.modules)}; choose others")
    _check_whole(places, targets, lora)
    layers = {re.sub(r"\.\d+\.", r"/[0-9]+/", place.path.rpartition(".")[0]).replace(".", "/") for place in targets.values()}
    provider = qwix.LoraProvider(module_path="|".join(sorted(layers)), rank=lora.rank, alpha=lora.scale * (lora.rank or 1))
    model = _filled(_abstract(policy.model, provider), policy.model, seed, mesh)
    return dataclasses.replace(policy, model=model, base=policy.model, lora=lora)


def _abstract(model: nnx.Module, provider: Any) -> nnx.Module:
    """The model with adapters, shapes only: qwix adds them when it runs the model, which need not be for real."""

    def run(model: Any) -> nnx.Module:
        return qwix.apply_lora_to_model(model, provider, **model.get_model_input(), rngs=nnx.Rngs(0))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties' deprecations
        return nnx.eval_shape(run, model)


def _filled(abstract: nnx.Module, base: nnx.Module, seed: int, mesh: jax.sharding.Mesh) -> nnx.Module:
    """The abstract model with the base model's buffers and untrained adapters: A uniform with variance 1 / (3 in), B zero.

    The draw of an A depends on the seed and its path alone.
    """
    graph, state = nnx.split(abstract)
    buffers = dict(jax.tree.leaves_with_path(nnx.state(base).to_pure_dict()))

    def fill(path: Any, leaf: Any, sharding: Any) -> Any:
        if path in buffers:
            return buffers[path]
        name = "/".join(str(getattr(key, "key", key)) for key in path)
        if name.endswith("_lora_b"):
            return jax.device_put(np.zeros(leaf.shape, leaf.dtype), sharding)
        draw = np.random.default_rng([seed, *name.encode()])
        bound = math.prod(leaf.shape[:-1]) ** -0.5
        return jax.device_put(draw.uniform(-bound, bound, leaf.shape).astype(leaf.dtype), sharding)

    shardings = nnx.get_named_sharding(state, mesh).to_pure_dict()
    return nnx.merge(graph, jax.tree.map_with_path(fill, state.to_pure_dict(), shardings))


def adapter(arrays: Mapping[str, np.ndarray], places: Mapping[str, Place]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Checkpoint name of each adapted weight to its (A (rank, in), B (out, rank)), float32.

    Args:
        arrays: the model's parameters by path.
        places: of the checkpoint's tensors.
    """
    pairs = {name: lora_pair(arrays, place) for name, place in places.items()}
    return {name: pair for name, pair in pairs.items() if pair is not None}


def save_adapter(policy: Policy, output: Path, base_name: str, model: Any = None) -> None:
    """The adapter alone, in the format of PEFT: ``adapter_config.json`` and ``adapter_model.safetensors``.

    Args:
        policy: one that ``with_lora`` made.
        output: folder.
        base_name: hub id or folder of the model that the adapter belongs to.
        model: default: the policy's own.
    """
    assert policy.lora is not None
    output.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, pair in adapter(policy.arrays(model), policy.places()).items():
        for letter, matrix in zip("AB", pair, strict=True):
            tensors[f"base_model.model.{name.removesuffix('.weight')}.lora_{letter}.weight"] = matrix
    save_file(tensors, output / "adapter_model.safetensors", metadata={"format": "pt"})
    rank = policy.lora.rank or 0
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base_name, "r": rank,
        "lora_alpha": policy.lora.scale * rank, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": False,
        "target_modules": list(policy.lora.modules), "modules_to_save": None, "inference_mode": True,
    }  # fmt: skip
    (output / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def _check_whole(places: Mapping[str, Place], targets: Mapping[str, Place], lora: LoraSection) -> None:
    """Tensors that one parameter holds share an adapter: all of them are adapted, or none."""
    paths = {place.path for place in targets.values()}
    together = {_module(name) for name, place in places.items() if place.path in paths}
    if left_out := sorted(together - set(lora.modules)):
        raise UsageError(
            f"lora.modules: this model keeps {left_out[0]} in one parameter with others of {', '.join(lora.modules)}; "
            f"name {left_out[0]} too"
        )


def _module(name: str) -> str:
    """``q_proj`` of ``model.layers.0.self_attn.q_proj.weight``; nothing of a bias."""
    head, _, last = name.rpartition(".")
    return head.rpartition(".")[2] if last == "weight" else ""
