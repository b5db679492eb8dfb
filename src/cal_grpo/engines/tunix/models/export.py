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

from cal_grpo.engines.reading import INDEX, read_json, travelling
from cal_grpo.engines.tunix.models.layout import to_checkpoint
from cal_grpo.engines.tunix.models.lora import adapter
from cal_grpo.engines.tunix.models.policy import Policy


def save_policy(policy: Policy, output: Path | str, model: Any = None, dtype: Any = np.float32) -> None:
    """Write ``model`` (default: the policy's own) as a Hugging Face folder that loads back with the same logits.

    Adapters are merged into the weights. Config and tokenizer travel with them, and no other file of the source folder.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    config = read_json(policy.folder / "config.json")
    if policy.folder.resolve() != output.resolve():
        for file in travelling(policy.folder):
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
    if (output / INDEX).exists() or len(list(output.glob("*.safetensors"))) > 1:  # of what was there before
        index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "model.safetensors")}
        (output / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    config.pop("torch_dtype", None)
    config["dtype"] = np.dtype(dtype).name
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
