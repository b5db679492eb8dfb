"""What ``data`` names: a file of some format, or a dataset of the hub."""

from pathlib import Path

from cal_grpo.errors import UsageError
from cal_grpo.tasks.hub import is_hub_id, read_dataset
from cal_grpo.tasks.jsonl import read_jsonl
from cal_grpo.tasks.parquet import MAGIC, read_parquet
from cal_grpo.tasks.types import Example, Fields


def read_source(data: Path, fields: Fields) -> tuple[list[Example], list[Example] | None]:
    """The questions of ``data``, and its own test part, which only a dataset of the hub may have.

    A file's format is told by its content: Parquet, one JSON array, or an object a line.

    Raises:
        UsageError: there is no such file or dataset, or a row of it is no question.
    """
    try:
        file = data.expanduser()
    except RuntimeError as e:
        raise UsageError(f"data {data}: {e}; write the path out") from e
    if not file.exists() and is_hub_id(data.as_posix()):
        return read_dataset(data.as_posix(), fields)
    if file.is_dir():
        inside = sorted(p for p in file.iterdir() if p.suffix in (".jsonl", ".json", ".parquet"))
        hint = f", such as {inside[0]}" if inside else " (JSON lines, a JSON array or Parquet)"
        raise UsageError(f"data {data}: is a folder; expected one file{hint}")
    if file.is_file() and (file.suffix == ".parquet" or _begins(file, MAGIC)):
        return read_parquet(file, fields), None
    return read_jsonl(file, fields), None


def _begins(file: Path, sign: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(sign)) == sign
    except OSError:  # the reader says it better
        return False
