"""A Hugging Face checkpoint folder, read.

Loading checks names, shapes and dtypes before Tunix sees them: its loader fails obscurely on mixed dtypes and, in one
of its modes, leaves placeholders for missing tensors (tunix 0.1.7, models/safetensors_loader.py).
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from safetensors import safe_open
from tunix.models import safetensors_loader
from tunix.utils.torch_utils import torch_key_to_jax_key

from cal_grpo.engines.tunix.models.chat import prompt_ids, render
from cal_grpo.engines.tunix.models.families import family_of
from cal_grpo.engines.tunix.models.mesh import check_mesh
from cal_grpo.engines.tunix.models.policy import Policy, leaves
from cal_grpo.engines.tunix.models.quirks import recompute_in_training_only
from cal_grpo.errors import UsageError

# Names that some exporters write beside the weights and that no model reads.
_IGNORED_SUFFIXES = ("rotary_emb.inv_freq",)


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
    abstract = nnx.eval_shape(lambda: getattr(module, family.model_class)(config, rngs=nnx.Rngs(params=0)))
    check_mesh(mesh, abstract, str(folder))
    expected = family.places(leaves(nnx.state(abstract, nnx.Param).to_pure_dict()))
    shapes = _checked_shapes(folder, family.key_mapping(config), set(expected))
    model = safetensors_loader.load_and_create_model(
        file_dir=str(folder),
        model_class=getattr(module, family.model_class),
        config=config,
        key_mapping=family.key_mapping,
        mesh=mesh,
        preprocess_fn=family.preprocess(config),
        dtype=dtype,
    )
    eos_ids = _eos_ids(folder, hf, tokenizer)
    _pad_apart(tokenizer, eos_ids)
    return Policy(model, tokenizer, folder, family, shapes, eos_ids)


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
            if key not in expected:
                if name.startswith("lm_head."):  # a tied one, written out by some exporters
                    continue
                raise UsageError(f"{file}: tensor {name!r} has no place in the model that config.json describes")
            shapes[name] = shape
            seen.add(key)
    if missing := sorted(key.removeprefix("tmp.") for key in expected - seen):
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
    return tokenizer


def _pad_apart(tokenizer: Any, eos_ids: tuple[int, ...]) -> None:
    """Make padding a token that ends no turn.

    Tunix takes every pad id in a prompt for padding and in a completion for what comes after its end (tunix 0.1.7,
    generate/sampler.py, ``init_sample_state``; rl/common.py, ``process_ids``). Where pad is eos, or missing, the model
    would not see where the user's turn ends. Another special token takes its place, one that is not in use, if there is one.
    """
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in eos_ids:
        return
    taken = {*eos_ids, tokenizer.bos_token_id}
    if tokenizer.chat_template:
        taken |= set(prompt_ids(render("1 + 1?", tokenizer), tokenizer))
    specials = sorted((i, token.content) for i, token in tokenizer.added_tokens_decoder.items() if token.special)
    tokenizer.pad_token = next((content for i, content in specials if i not in taken), tokenizer.eos_token)


def _eos_ids(folder: Path, hf: dict[str, Any], tokenizer: Any) -> tuple[int, ...]:
    generation = folder / "generation_config.json"
    declared = (_read_json(generation) if generation.exists() else {}).get("eos_token_id", hf.get("eos_token_id"))
    listed = declared if isinstance(declared, list) else [declared]
    return tuple(dict.fromkeys([tokenizer.eos_token_id, *(i for i in listed if i is not None)]))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        raise UsageError(f"{file}: not found; expected a Hugging Face checkpoint folder") from None
    except (ValueError, TypeError) as e:
        raise UsageError(f"{file}: not a JSON object ({e}); download or convert the folder again") from e
