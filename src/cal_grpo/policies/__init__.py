"""Which checkpoint folder is meant, and how large is it: the policy in the package, a local folder, or one on the hub?"""

import functools
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.hub import unreachable
from cal_grpo.policies.weights import INDEX, parameters_in, read_json, shapes_in, weight_files

__all__ = [
    "EMBEDDED",
    "INDEX",
    "local_folder",
    "parameters_in",
    "parameters_of",
    "read_json",
    "resolve_model",
    "shapes_in",
    "weight_files",
]

EMBEDDED = Path(__file__).parent / "ledger-tiny"

_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model")


def resolve_model(model_id: str, files: tuple[str, ...] = _FILES) -> Path:
    """The local folder of a checkpoint; a hub id is downloaded.

    Args:
        model_id: a folder, a hub id, or "embedded".
        files: patterns of what is needed of one on the hub.

    Raises:
        UsageError: there is no such folder, it is a run's, or the hub cannot be reached or does not know the name.
    """
    folder = local_folder(model_id)
    return _downloaded(model_id, files) if folder is None else folder


def parameters_of(model_id: str) -> int:
    """How many parameters a model has. One on the hub is not downloaded for it where the hub says so.

    Args:
        model_id: a folder, a hub id, or "embedded".

    Raises:
        UsageError: as ``resolve_model``; or its weights cannot be read.
    """
    folder = local_folder(model_id)
    if folder is None:
        told, unreached = _asked(model_id)
        if getattr(told, "safetensors", None) is not None:
            return int(told.safetensors.total)
        folder = _snapshot(model_id, _FILES, unreached)
    return parameters_in(folder)


def local_folder(model_id: str) -> Path | None:
    """The folder of a model on this machine; None for a hub id.

    Raises:
        UsageError: there is no such folder, or it is a run's.
    """
    if model_id == "embedded":
        return EMBEDDED
    folder = Path(model_id)
    try:
        if (folder := folder.expanduser()).is_dir():
            return _checked(folder, model_id)
    except PermissionError as e:
        raise UsageError(
            f"model_id is {model_id!r:.200}: {e.strerror}; choose another folder, or see to its permissions"
        ) from e
    except (OSError, RuntimeError, ValueError):  # a name too long, no such home, a character that no name has: no folder
        pass
    if model_id.startswith((".", "/", "~")) or model_id.count("/") != 1:
        raise UsageError(
            f"model_id is {model_id!r:.200}: no such folder; expected a Hugging Face folder or a hub id like org/name"
        )
    return None


def _checked(folder: Path, model_id: str) -> Path:
    if not (folder / "config.json").is_file() and (folder / "config.yaml").is_file():
        if (folder / "policy" / "config.json").is_file():
            raise UsageError(f"model_id is {model_id!r}: a run folder; expected the policy in it, {folder / 'policy'}")
        raise UsageError(
            f"model_id is {model_id!r}: a run folder that holds no policy yet; go on with it (cal-grpo train --resume {folder})"
        )
    return folder


def _asked(model_id: str) -> tuple[Any, str | None]:
    """What the hub says of a model, if it says anything, and why it does not answer, if it does not."""
    from huggingface_hub import HfApi

    told: list[Any] = []
    unreached = unreachable(lambda seconds: told.append(HfApi().model_info(model_id, timeout=seconds)))
    return (told or [None])[0], unreached


@functools.cache
def _downloaded(model_id: str, files: tuple[str, ...]) -> Path:
    return _snapshot(model_id, files, _asked(model_id)[1])


def _snapshot(model_id: str, files: tuple[str, ...], unreached: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model_id, allow_patterns=list(files), local_files_only=unreached is not None))
    except Exception as e:
        reason = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        if unreached:
            reason = f"the hub does not answer: {unreached}, and no copy is on this machine"
        raise UsageError(f"model_id {model_id!r} could not be downloaded ({reason}); pass a local folder instead") from e
