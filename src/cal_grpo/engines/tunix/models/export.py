"""A policy back to a Hugging Face folder.

The exact inverse of the family's key map, driven by the list of tensors in the source folder, so that what comes out has the
same names, shapes and files' layout as what went in.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tunix.utils.torch_utils import torch_key_to_jax_key

from cal_grpo.engines.tunix.models.layout import to_checkpoint
from cal_grpo.engines.tunix.models.lora import adapter
from cal_grpo.engines.tunix.models.policy import Policy

# Everything but weights travels unchanged from the source folder to the export.
_WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.pt", "*.gguf")


def save_policy(policy: Policy, output: Path | str, model: Any = None, dtype: Any = np.float32) -> None:
    """Write ``model`` (default: the policy's own) as a Hugging Face folder that loads back with the same logits.

    Adapters are merged into the weights.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    for file in policy.folder.iterdir() if policy.folder.resolve() != output.resolve() else ():
        if file.is_file() and not any(file.match(pattern) for pattern in _WEIGHT_FILES):
            shutil.copyfile(file, output / file.name)
    arrays, places = policy.arrays(model), policy.places()
    mapping = policy.family.key_mapping(policy.model.config)
    tensors = {}
    for name, shape in policy.shapes.items():
        _, transform = torch_key_to_jax_key(mapping, name)
        tensors[name] = to_checkpoint(places[name].of(arrays[places[name].path]), shape, transform)
    if policy.lora is not None:
        for name, (a, b) in adapter(arrays, places).items():
            tensors[name] += policy.lora.scale * (b @ a)
    tensors = {name: tensor.astype(dtype) for name, tensor in tensors.items()}
    save_file(tensors, output / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((policy.folder / "config.json").read_text())
    config.pop("torch_dtype", None)
    config["dtype"] = np.dtype(dtype).name
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
