"""Which checkpoint folder is meant: the policy in the package, a local folder, or one on the hub."""

from pathlib import Path

from cal_grpo.errors import UsageError

EMBEDDED = Path(__file__).parent / "ledger-tiny"


def resolve_model(model_id: str) -> Path:
    """The local folder of a checkpoint; a hub id is downloaded.

    Raises:
        UsageError: there is no such folder, and the hub cannot be reached or does not know the name.
    """
    if model_id == "embedded":
        return EMBEDDED
    folder = Path(model_id).expanduser()
    if folder.is_dir():
        return folder
    if model_id.startswith((".", "/", "~")) or model_id.count("/") != 1:
        raise UsageError(f"model_id is {model_id!r}: no such folder; expected a Hugging Face folder or a hub id like org/name")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model_id, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model"]))
    except Exception as e:
        reason = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise UsageError(f"model_id {model_id!r} could not be downloaded ({reason}); pass a local folder instead") from e
