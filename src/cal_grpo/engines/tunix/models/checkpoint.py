"""A Hugging Face checkpoint folder, read: everything in it is checked before Tunix sees it."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from tunix.models import safetensors_loader

from cal_grpo.engines.reading import load_tokenizer, read_json, weight_files
from cal_grpo.engines.tunix.models.families import Family, family_of, reading
from cal_grpo.engines.tunix.models.mesh import check_mesh
from cal_grpo.engines.tunix.models.policy import Policy, leaves
from cal_grpo.engines.tunix.models.quirks import recompute_in_training_only
from cal_grpo.engines.tunix.models.tensors import check_finite, checked_tensors


def load_policy(
    folder: Path | str, mesh: jax.sharding.Mesh, dtype: Any = jnp.float32, remat: bool = False, system: str | None = None
) -> Policy:
    """Load a checkpoint folder onto a mesh.

    Args:
        folder: Hugging Face folder.
        mesh: devices.
        dtype: of the parameters in memory.
        remat: recompute each layer in the backward pass instead of keeping its activations.
        system: the run's system prompt, which a chat template may want.

    Raises:
        UsageError: the folder, its config, weights or tokenizer is missing, incomplete, damaged or of a kind that the
            engine cannot train. The message names the file and the field or tensor.
    """
    folder = Path(folder)
    hf = read_json(folder / "config.json")
    family = family_of(hf, str(folder))
    module = family.model_module()
    tokenizer, eos_ids = load_tokenizer(folder, hf, hf["vocab_size"], system)
    with reading(str(folder)):
        config = family.build_config(hf, module)
    if remat:
        recompute_in_training_only(module)
        config = dataclasses.replace(config, remat_config=module.RematConfig.DECODER)
    abstract = nnx.eval_shape(lambda: getattr(module, family.model_class)(config, rngs=nnx.Rngs(params=0)))
    check_mesh(mesh, abstract, str(folder))
    expected = family.places(leaves(nnx.state(abstract, nnx.Param).to_pure_dict()))
    files = weight_files(folder)
    tensors = checked_tensors(folder, files, family.key_mapping(config), set(expected), config)
    model = _load(files, family, config, mesh, dtype)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    policy = Policy(model, tokenizer, folder, family, shapes, eos_ids)
    check_finite(tensors, leaves(nnx.state(model, nnx.Param).to_pure_dict()), policy.places())
    return policy


def _load(files: Sequence[Path], family: Family, config: Any, mesh: jax.sharding.Mesh, dtype: Any) -> Any:
    """Tunix's model. Its loader takes every weights file of a folder, so it gets one with links to those that count."""
    with tempfile.TemporaryDirectory() as links:
        for file in files:
            (Path(links) / file.name).symlink_to(file.resolve())
        return safetensors_loader.load_and_create_model(
            file_dir=links,
            model_class=getattr(family.model_module(), family.model_class),
            config=config,
            key_mapping=family.key_mapping,
            mesh=mesh,
            preprocess_fn=family.preprocess(config),
            dtype=dtype,
        )
