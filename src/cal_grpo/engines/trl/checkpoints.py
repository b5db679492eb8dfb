"""From which checkpoint a run goes on."""

import json
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open

from cal_grpo.engines.found import Found, newest

_STATE = "trainer_state.json"  # written last: a folder without it was not finished when the process was killed


def folder_of(run_dir: Path, update: int) -> Path:
    """Where an update's checkpoint lies."""
    return run_dir / "checkpoints" / f"checkpoint-{update}"


def newest_checkpoint(run_dir: Path) -> Found:
    """The newest checkpoint that can be read. Nothing is touched.

    Raises:
        UsageError: there are checkpoints, and none can be read.
    """
    folder = run_dir / "checkpoints"
    folders = {update: folder_of(run_dir, update) for update in _finished(folder)}
    return newest(folder, folders, lambda update, checkpoint: _problem(checkpoint, update))


def newest_finished(run_dir: Path) -> int:
    """The same without a look into it, once damaged ones are aside."""
    return max(_finished(run_dir / "checkpoints"), default=0)


def _finished(folder: Path) -> list[int]:
    numbers = ((path, path.name.removeprefix("checkpoint-")) for path in folder.glob("checkpoint-*"))
    return [int(number) for path, number in numbers if number.isdigit() and (path / _STATE).exists()]


def _problem(checkpoint: Path, update: int) -> str | None:
    """Why a checkpoint cannot be gone on from, in one line; it is read tensor by tensor, and NaN counts as damage.

    The folders of DeepSpeed and FSDP are left to these.
    """
    file = checkpoint / _STATE
    try:
        if json.loads(file.read_text())["global_step"] != update:
            return f"{file.name} is of another update"
        whole = sorted(checkpoint.glob("*.safetensors"))
        for file in whole:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                    if not torch.isfinite(tensors.get_tensor(name)).all():
                        return f"{file.name}: {name} is not finite"
        for file in [checkpoint / "optimizer.pt", checkpoint / "scheduler.pt"] if whole else []:
            found = torch.load(file, map_location="cpu", weights_only=True)
            if not all(torch.isfinite(tensor).all() for tensor in _tensors(found)):
                return f"{file.name} is not finite"
    except (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, UnpicklingError, SafetensorError) as e:
        return f"{file.name}: {' '.join(str(e).split())[:120] or type(e).__name__}"
    return None


def _tensors(tree: object) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree] if tree.is_floating_point() else []
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return [tensor for part in inner for tensor in _tensors(part)]
