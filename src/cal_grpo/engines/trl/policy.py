"""A checkpoint folder, in and out of PyTorch."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from cal_grpo.config import LoraSection
from cal_grpo.engines.reading import load_tokenizer, read_json, travelling, weight_files
from cal_grpo.errors import UsageError


def load_policy(folder: Path, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """A checkpoint's model and tokenizer, on the CPU.

    Args:
        folder: Hugging Face folder.
        settings: passed to ``from_pretrained``.

    Raises:
        UsageError: the folder, its config, weights or tokenizer is missing, incomplete, damaged or of a kind that transformers
            does not know, or a weight is not finite.
    """
    hf = read_json(folder / "config.json")
    weight_files(folder)
    rows = hf.get("vocab_size") or hf.get("text_config", {}).get("vocab_size")
    if not isinstance(rows, int):
        raise UsageError(f"{folder / 'config.json'}: vocab_size is {rows!r}; expected the embedding's rows")
    tokenizer, ends = load_tokenizer(folder, hf, rows)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, output_loading_info=True, trust_remote_code=False, local_files_only=True, **settings
        )
        model, told = loaded
    except Exception as e:  # whatever the libraries below raise for a damaged or unknown checkpoint
        raise UsageError(f"{folder}: cannot be loaded ({type(e).__name__}: {' '.join(str(e).split()):.300})") from e
    # What transformers only warns about.
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if found := sorted(map(str, told.get(problem) or ())):
            what = {"missing_keys": "lacks", "mismatched_keys": "has another shape of", "unexpected_keys": "has the unknown"}
            raise UsageError(f"{folder}: the checkpoint {what[problem]} {found[0]} ({len(found)} in all); download it again")
    if name := not_finite(dict(model.named_parameters())):
        raise UsageError(f"{folder}: {name} holds numbers that are not finite; download or convert the folder again")
    model.generation_config.eos_token_id = list(ends)
    return model, tokenizer


def not_finite(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """The first that holds NaN or infinity."""
    return next((name for name, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()), None)


def lora_config(lora: LoraSection) -> LoraConfig:
    """PEFT's settings for the run's adapters: no dropout, B zero."""
    rank = lora.rank or 1
    return LoraConfig(
        r=rank,
        lora_alpha=lora.scale * rank,
        target_modules=list(lora.modules),
        task_type="CAUSAL_LM",
    )


def check_lora(model: Any, lora: LoraSection, folder: Path) -> None:
    """See that the model has what is to be adapted.

    Raises:
        UsageError: it has none of it.
    """
    there = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if not there & set(lora.modules):
        raise UsageError(f"lora.modules: {folder} has none of {', '.join(lora.modules)}; choose others")


def merged(state: Mapping[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """A model's own tensors, float32, with the adapters of a PEFT model's state added to them."""
    own = {name.removeprefix("base_model.model."): t for name, t in state.items()}
    tensors = {name.replace(".base_layer.", "."): t.float() for name, t in own.items() if ".lora_" not in name}
    for name, a in own.items():
        if name.endswith(".lora_A.default.weight"):
            b = own[name.replace(".lora_A.", ".lora_B.")]
            whole = name.replace(".lora_A.default.", ".")
            tensors[whole] = tensors[whole] + scale * (b.float() @ a.float())  # not in place: the model's own weights stay
    return tensors


def save_policy(model: Any, folder: Path, output: Path, state: Mapping[str, torch.Tensor], scale: float) -> None:
    """Write a policy as the folder it came from, float32, in one file; config and tokenizer travel with it, and no other file.

    Args:
        model: of transformers, without PEFT's wrapper; its class knows the names.
        folder: where it came from.
        output: the new folder.
        state: what was trained, adapters beside the weights if there are any.
        scale: of the adapters' output.
    """
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output, state_dict=merged(state, scale), max_shard_size="1000GB")
    if folder.resolve() != output.resolve():
        for file in travelling(folder):
            shutil.copyfile(file, output / file.name)
        if not (folder / "generation_config.json").exists():
            (output / "generation_config.json").unlink(missing_ok=True)
    config = read_json(folder / "config.json")
    config.pop("torch_dtype", None)
    (output / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")


def save_adapter(model: Any, output: Path, state: Mapping[str, torch.Tensor], base: str) -> None:
    """Write a PEFT model's adapter alone, in PEFT's format; ``base`` names the model that it belongs to."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    model.save_pretrained(output, state_dict=dict(state))
    (output / "README.md").unlink(missing_ok=True)  # PEFT's draft of a model card
