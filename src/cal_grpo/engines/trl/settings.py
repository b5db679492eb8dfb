"""A run's config in TRL's words; what is TRL's own passes through ``trl.*``."""

import dataclasses
import difflib
import os
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from trl import GRPOConfig

from cal_grpo.config import TrainConfig
from cal_grpo.engines.trl.config import CALGRPOConfig
from cal_grpo.errors import UsageError

# TRL's names for what a run has keys of its own for.
_OURS = {
    "output_dir": "output_dir",
    "max_steps": "num_train_steps",
    "num_train_epochs": "num_train_steps",
    "seed": "seed",
    "learning_rate": "learning_rate",
    "warmup_steps": "optimizer.warmup_steps",
    "max_grad_norm": "optimizer.max_grad_norm",
    "adam_beta2": "optimizer.b2",
    "per_device_train_batch_size": "micro_batch_size",
    "per_device_eval_batch_size": "eval.batch_size",
    "gradient_accumulation_steps": "micro_batch_size",
    "generation_batch_size": "batch_size",
    "num_generations": "num_generations",
    "max_completion_length": "rollout.max_new_tokens",
    "temperature": "rollout.temperature",
    "top_p": "rollout.top_p",
    "beta": "beta",
    "epsilon": "epsilon",
    "gradient_checkpointing": "remat",
    "chat_template_kwargs": "chat.template_arguments",
    "save_steps": "checkpoint.every",
    "save_total_limit": "checkpoint.keep",
    "resume_from_checkpoint": "--resume",
}
# What a run relies on, and why it cannot be changed.
_FIXED = {
    "steps_per_generation": "an update is made on the answers that were sampled for it",
    "num_iterations": "an update is made on the answers that were sampled for it",
    "shuffle_dataset": "a run shuffles by itself, so that a resumed one goes on in order",
    "data_seed": "a run shuffles by itself, so that a resumed one goes on in order",
    "ignore_data_skip": "a resumed run goes on in order",
    "remove_unused_columns": "grading reads them",
    "logging_steps": "a row is written for every update",
    "logging_strategy": "a row is written for every update",
    "logging_first_step": "a row is written for every update",
    "logging_nan_inf_filter": "a run that is not finite stops",
    "save_strategy": "a run has checkpoints of its own: checkpoint.every",
    "save_only_model": "a run can be resumed",
    "load_best_model_at_end": "a run keeps the best policy by itself: eval.every",
    "do_eval": "a run asks held-out questions by itself: eval.every",
    "eval_strategy": "a run asks held-out questions by itself: eval.every",
    "disable_tqdm": "a run has a screen of its own",
}
_FIELDS = {field.name: field for field in dataclasses.fields(GRPOConfig) if field.init}


def trl_settings(config: TrainConfig) -> CALGRPOConfig:
    """The trainer's settings for a run whose folder is not known yet. They start the communication of a job's processes.

    Args:
        config: of the run, with the task's lengths.

    Raises:
        UsageError: a key that this engine does not have is set, ``trl.*`` holds what TRL does not take, or the processes that
            were launched do not find each other.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    _check_keys(config, processes)
    for name, value in config.trl.items():
        _check(name, value)
    micro = config.micro_batch_size or config.batch_size
    settings: dict[str, Any] = {
        "output_dir": "",
        "max_steps": config.num_train_steps,
        "seed": config.seed,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": config.optimizer.warmup_steps,
        "adam_beta2": config.optimizer.b2,
        "max_grad_norm": config.optimizer.max_grad_norm,
        "per_device_train_batch_size": micro * config.num_generations // processes,
        "gradient_accumulation_steps": config.batch_size // micro,
        "num_generations": config.num_generations,
        "max_completion_length": config.rollout.max_new_tokens,
        "temperature": config.rollout.temperature,
        "top_p": config.rollout.top_p,
        "beta": config.beta,
        "epsilon": config.epsilon,
        "gradient_checkpointing": config.remat,
        "chat_template_kwargs": dict(config.chat.template_arguments),
        "shuffle_dataset": False,
        "save_strategy": "steps",
        "save_steps": config.checkpoint.every,
        "save_total_limit": config.checkpoint.keep,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": False,
        "ddp_find_unused_parameters": False,
        "use_cpu": not torch.accelerator.is_available(),
        # The KL term of GRPO's paper (arXiv 2402.03300, equation 4), as on the other engine.
        "use_bias_correction_kl": False,
    } | config.trl
    ours = {field.name for field in dataclasses.fields(CALGRPOConfig)} - set(_FIELDS)
    settings |= {name: getattr(config, name) for name in ours if name != "credit"}
    try:
        made = CALGRPOConfig(**settings)
    except UsageError:
        raise
    except (ValueError, TypeError, ImportError, RuntimeError, NotImplementedError) as e:
        raise UsageError(f"TRL refuses these settings ({' '.join(str(e).split()):.300}); correct trl.*") from e
    if made.world_size != processes:
        raise UsageError(f"{processes} processes were launched, but TRL finds {made.world_size}; see accelerate launch --help")
    return made


def _check_keys(config: TrainConfig, processes: int) -> None:
    for name in ("fsdp", "tp"):
        if getattr(config.mesh, name) != 1:
            raise UsageError(
                f"mesh.{name} is {getattr(config.mesh, name)}, Tunix's mesh; on TRL start the processes with accelerate launch"
            )
    if config.eval.every and processes > 1:
        raise UsageError(
            f"eval.every is {config.eval.every} in a job of {processes} processes, which cannot answer in the middle of a "
            "training; leave it out, or start one process"
        )
    rows = (config.micro_batch_size or config.batch_size) * config.num_generations
    if rows % processes:
        raise UsageError(
            f"{processes} processes do not divide the {rows} answers of a forward pass (questions x num_generations); "
            "choose a divisor, or another micro_batch_size"
        )


def _check(name: str, value: Any) -> None:
    if name in _OURS:
        raise UsageError(f"trl.{name} is a key of the run's own; set {_OURS[name]} instead")
    if name in _FIXED:
        raise UsageError(f"trl.{name} is set, but {_FIXED[name]}; leave it out")
    if name not in _FIELDS:
        if name in {field.name for field in dataclasses.fields(CALGRPOConfig)}:
            raise UsageError(f"trl.{name} is a key of the run's own; set {name} instead")
        near = difflib.get_close_matches(name, _FIELDS, n=1)
        raise UsageError(
            f"TRL has no setting {name!r}" + (f"; did you mean trl.{near[0]}?" if near else "; see its GRPOConfig")
        )
    try:
        kind: Any = _FIELDS[name].type
        TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as e:
        raise UsageError(f"trl.{name} is {value!r:.60}; {e.errors()[0]['msg']}; see TRL's GRPOConfig") from e
    except Exception:  # noqa: BLE001 - a type that pydantic cannot read: left to TRL
        return


def model_settings(trl: Mapping[str, Any]) -> dict[str, Any]:
    """How a policy is loaded: float32 unless ``trl.model_init_kwargs`` says otherwise.

    Raises:
        UsageError: it is no mapping.
    """
    given = trl.get("model_init_kwargs") or {}
    if not isinstance(given, Mapping):
        raise UsageError(f"trl.model_init_kwargs is {given!r:.60}; expected keys and values, such as {{dtype: bfloat16}}")
    return {"dtype": "float32", **given}
