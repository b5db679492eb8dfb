"""Which checkpoint folder is meant: the policy in the package, a local folder, or one on the hub."""

import functools
from pathlib import Path

from cal_grpo.errors import UsageError
from cal_grpo.hub import unreachable

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
    if model_id == "embedded":
        return EMBEDDED
    folder = Path(model_id).expanduser()
    if folder.is_dir():
        return _checked(folder, model_id)
    if model_id.startswith((".", "/", "~")) or model_id.count("/") != 1:
        raise UsageError(f"model_id is {model_id!r}: no such folder; expected a Hugging Face folder or a hub id like org/name")
    return _downloaded(model_id, files)


def _checked(folder: Path, model_id: str) -> Path:
    if not (folder / "config.json").is_file() and (folder / "config.yaml").is_file():
        if (folder / "policy" / "config.json").is_file():
            raise UsageError(f"model_id is {model_id!r}: a run folder; expected the policy in it, {folder / 'policy'}")
        raise UsageError(
            f"model_id is {model_id!r}: a run folder that holds no policy yet; go on with it (cal-grpo train --resume {folder})"
        )
    return folder


@functools.cache
def _downloaded(model_id: str, files: tuple[str, ...]) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    unreached = unreachable(lambda seconds: HfApi().model_info(model_id, timeout=seconds))
    try:
        return Path(snapshot_download(model_id, allow_patterns=list(files), local_files_only=unreached is not None))
    except Exception as e:
        reason = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        if unreached:
            reason = f"the hub does not answer: {unreached}, and no copy is on this machine"
        raise UsageError(f"model_id {model_id!r} could not be downloaded ({reason}); pass a local folder instead") from e
