"""Which files of a checkpoint folder count."""

import json
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError

INDEX = "model.safetensors.index.json"
# What travels to an export: what loading has read and understood, wherever it lies,
_READ = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
# and what belongs to a tokenizer or a licence, unless it is a link that leads elsewhere.
_BESIDE = (
    "added_tokens.json", "special_tokens_map.json", "chat_template.json", "vocab.json", "merges.txt", "tokenizer.model",
    "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt",
)  # fmt: skip


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the model's weights: those that the index names; without an index, every ``*.safetensors``.

    Raises:
        UsageError: there is none, or the index is damaged or names one that is not there.
    """
    index = folder / INDEX
    if not index.exists():
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise UsageError(f"{folder}: no *.safetensors file; expected the model's weights beside config.json")
        return files
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise UsageError(f"{index}: field 'weight_map' is not an object of tensor and file names; download the index again")
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UsageError(f"{index}: weight_map names {name!r}; expected *.safetensors files beside it")
        if not (folder / name).is_file():
            raise UsageError(f"{index}: weight_map names {name}, which is not there; download the missing file")
    return [folder / name for name in names]


def travelling(folder: Path) -> list[Path]:
    """The files that go with the weights into an export. Never any other: not ``.env``, not an optimizer's state."""
    beside = [folder / name for name in _BESIDE]
    return [folder / name for name in _READ if (folder / name).is_file()] + [
        file for file in beside if file.is_file() and not _leads_elsewhere(file)
    ]


def _leads_elsewhere(file: Path) -> bool:
    """Whether it is a link out of its folder; a snapshot of the hub's cache links to ``blobs``."""
    home = file.resolve().parent
    return file.is_symlink() and home != file.parent.resolve() and home.name != "blobs"


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UsageError: the file is not there or holds something else.
    """
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        raise UsageError(f"{file}: not found; expected a Hugging Face checkpoint folder") from None
    except (OSError, ValueError, TypeError, RecursionError) as e:
        raise UsageError(f"{file}: not a JSON object ({e}); download or convert the folder again") from e
