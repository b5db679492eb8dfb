"""A Hugging Face checkpoint folder, in and out.

Loading checks names, shapes and dtypes before Tunix sees them: its loader fails obscurely on mixed dtypes and, in one
of its modes, leaves placeholders for missing tensors (tunix 0.1.7, models/safetensors_loader.py). Export is the exact
inverse of the family's key map, driven by the list of tensors in the source folder, so what comes out has the same
names, shapes and files' layout as what went in.
"""

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import safe_open
from safetensors.numpy import save_file
from tunix.models import safetensors_loader
from tunix.utils.torch_utils import torch_key_to_jax_key

from cal_grpo.engines.tunix.families import Family, family_of
from cal_grpo.engines.tunix.quirks import recompute_in_training_only
from cal_grpo.errors import UsageError

# Names that some exporters write beside the weights and that no model reads.
_IGNORED_SUFFIXES = ("rotary_emb.inv_freq",)
# Everything but weights travels unchanged from the source folder to the export.
_WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.pt", "*.gguf")


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
    """

    model: Any
    tokenizer: Any
    folder: Path
    family: Family
    shapes: dict[str, tuple[int, ...]]
    eos_ids: tuple[int, ...]

    def fresh_copy(self) -> nnx.Module:
        """The same model with its own buffers, for the frozen reference policy."""
        graph, state = nnx.split(self.model)
        return nnx.merge(graph, jax.tree.map(jnp.copy, state))


def load_policy(folder: Path | str, mesh: jax.sharding.Mesh, dtype: Any = jnp.float32, remat: bool = False) -> Policy:
    """Load a checkpoint folder onto a mesh.

    Args:
        folder: Hugging Face folder.
        mesh: devices.
        dtype: of the parameters in memory.
        remat: recompute each layer in the backward pass instead of keeping its activations.

    Raises:
        UsageError: the folder, its config, weights or tokenizer is missing, incomplete or of a kind that the engine
            cannot train. The message names the file and the field or tensor.
    """
    folder = Path(folder)
    hf = _read_json(folder / "config.json")
    family = family_of(hf, str(folder))
    tokenizer = _load_tokenizer(folder)
    module = family.model_module()
    try:
        config = family.build_config(hf, module)
    except KeyError as e:
        raise UsageError(f"{folder / 'config.json'}: field {e} is missing; expected a complete config") from e
    if remat:
        recompute_in_training_only(module)
        config = dataclasses.replace(config, remat_config=module.RematConfig.DECODER)
    shapes = _checked_shapes(folder, family.key_mapping(config), _expected_paths(module, family, config))
    model = safetensors_loader.load_and_create_model(
        file_dir=str(folder),
        model_class=getattr(module, family.model_class),
        config=config,
        key_mapping=family.key_mapping,
        mesh=mesh,
        dtype=dtype,
    )
    return Policy(model, tokenizer, folder, family, shapes, _eos_ids(folder, hf, tokenizer))


def save_policy(policy: Policy, output: Path | str, model: Any = None, dtype: Any = np.float32) -> None:
    """Write ``model`` (default: the policy's own) as a Hugging Face folder that loads back with the same logits."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    for file in policy.folder.iterdir() if policy.folder.resolve() != output.resolve() else ():
        if file.is_file() and not any(file.match(pattern) for pattern in _WEIGHT_FILES):
            shutil.copyfile(file, output / file.name)
    model = policy.model if model is None else model
    arrays = {safetensors_loader.path_to_key(path).removesuffix(".value"): leaf for path, leaf in _leaves(model)}
    mapping = policy.family.key_mapping(model.config)
    tensors = {}
    for name, shape in policy.shapes.items():
        key, transform = torch_key_to_jax_key(mapping, name)
        tensors[name] = _to_checkpoint(np.asarray(arrays[key], dtype=np.float32), shape, transform).astype(dtype)
    save_file(tensors, output / "model.safetensors", metadata={"format": "pt"})
    config = _read_json(policy.folder / "config.json")
    config.pop("torch_dtype", None)
    config["dtype"] = np.dtype(dtype).name
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _to_checkpoint(array: np.ndarray, shape: tuple[int, ...], transform: Any) -> np.ndarray:
    """Undo the loader's ``transpose(permute).reshape(...)``."""
    permute = transform[0] if transform else None
    if not permute:
        return np.ascontiguousarray(array.reshape(shape))
    permuted = array.reshape([shape[axis] for axis in permute])
    return np.ascontiguousarray(permuted.transpose(np.argsort(permute)))


def _leaves(model: nnx.Module) -> list[tuple[Any, jax.Array]]:
    return list(jax.tree.leaves_with_path(nnx.state(model, nnx.Param).to_pure_dict()))


def _expected_paths(module: Any, family: Family, config: Any) -> set[str]:
    abstract = nnx.eval_shape(lambda: getattr(module, family.model_class)(config, rngs=nnx.Rngs(params=0)))
    return {safetensors_loader.path_to_key(path).removesuffix(".value") for path, _ in _leaves(abstract)}


def _checked_shapes(folder: Path, mapping: dict[str, Any], expected: set[str]) -> dict[str, tuple[int, ...]]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UsageError(f"{folder}: no *.safetensors file; expected the model's weights beside config.json")
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    seen = set()
    for file in files:
        try:
            with safe_open(file, framework="numpy") as f:
                slices = {name: f.get_slice(name) for name in f.keys()}  # noqa: SIM118 - not a dict
                headers = {name: (tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}
        except Exception as e:
            raise UsageError(f"{file}: cannot be read as safetensors ({e}); download or convert it again") from e
        for name, (shape, dtype) in headers.items():
            dtypes[name] = dtype  # of every tensor: the loader reads a whole file as one dtype
            try:
                key, _ = torch_key_to_jax_key(mapping, name)
            except ValueError:
                if name.endswith(_IGNORED_SUFFIXES):
                    continue
                raise UsageError(f"{file}: tensor {name!r} has no place in this family; expected its own names") from None
            if key not in expected:  # a tied lm_head written out by some exporters
                continue
            shapes[name] = shape
            seen.add(key)
    if missing := sorted(expected - seen):
        raise UsageError(f"{folder}: {len(missing)} tensors are missing, first {missing[0]!r}; expected a full checkpoint")
    if len(kinds := set(dtypes.values())) > 1:
        raise UsageError(f"{folder}: tensors of mixed dtypes {sorted(kinds)}; save the checkpoint in one dtype")
    return shapes


def _load_tokenizer(folder: Path) -> Any:
    if not (folder / "tokenizer.json").exists():
        raise UsageError(f"{folder}: no tokenizer.json; expected a fast tokenizer beside the weights")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.eos_token_id is None:
        raise UsageError(f"{folder}: the tokenizer has no eos_token; name one in tokenizer_config.json")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _eos_ids(folder: Path, hf: dict[str, Any], tokenizer: Any) -> tuple[int, ...]:
    generation = folder / "generation_config.json"
    declared = _read_json(generation).get("eos_token_id") if generation.exists() else hf.get("eos_token_id")
    listed = declared if isinstance(declared, list) else [declared]
    return tuple(dict.fromkeys([tokenizer.eos_token_id, *(i for i in listed if i is not None)]))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        raise UsageError(f"{file}: not found; expected a Hugging Face checkpoint folder") from None
    except (ValueError, TypeError) as e:
        raise UsageError(f"{file}: not a JSON object ({e}); download or convert the folder again") from e
