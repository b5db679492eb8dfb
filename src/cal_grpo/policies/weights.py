"""Which files of a checkpoint folder hold its weights, and how many parameters they are. Only headers are read."""

import json
import math
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError, one_line

INDEX = "model.safetensors.index.json"
_LONGEST_HEADER = 100_000_000  # bytes, safetensors' own limit


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


def shapes_in(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a checkpoint folder's tensors, by name.

    Raises:
        UsageError: there are no weights, or a file's header cannot be read.
    """
    return {name: shape for file in weight_files(folder) for name, shape in _header(file).items()}


def parameters_in(folder: Path) -> int:
    """How many numbers the tensors of a checkpoint folder hold, whatever their dtype.

    Raises:
        UsageError: as ``shapes_in``.
    """
    return sum(map(math.prod, shapes_in(folder).values()))


def _header(file: Path) -> dict[str, tuple[int, ...]]:
    """Of one file: its first 8 bytes say, little-endian, how long the JSON behind them is that describes the tensors."""
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if not 0 < length <= _LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            tensors = json.loads(opened.read(length))
        return {name: tuple(map(int, tensor["shape"])) for name, tensor in tensors.items() if name != "__metadata__"}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        said = one_line(f"{type(e).__name__}: {e}")[:120]
        raise UsageError(f"{file}: cannot be read as safetensors ({said}); download or convert it again") from e


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
