"""JSON Lines that may have been cut off, or edited by hand."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError

_LARGEST = 1e100
OnBytes = Callable[[int], None]


def read_lines(path: Path, notes: list[str], on_bytes: OnBytes | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number and object. A file that is not there has none.

    Args:
        path: the file.
        notes: gets one line about what could not be read.
        on_bytes: hears how many bytes each line had.

    Raises:
        UsageError: the file is there and cannot be read.
    """
    bad: list[int] = []
    torn = False
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if on_bytes is not None:
                    on_bytes(len(line))
                record = _parse(line)
                if record is not None:
                    yield number, record
                elif not line.endswith(b"\n"):
                    torn = True
                elif line.strip():
                    bad.append(number)
    except FileNotFoundError:
        return
    except OSError as e:
        raise UsageError(f"{path}: cannot be read ({e.strerror}); check the path and its permissions") from e
    if torn:
        notes.append(f"{path.name}: the last line is cut off and was left out; the run was stopped while it wrote")
    if bad:
        notes.append(f"{path.name}: {counted(len(bad), 'line')} left out, first line {bad[0]}: not a JSON object")


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line.decode("utf-8", "replace"))
        if b"\\ud" in line.lower():  # perhaps half of a surrogate pair, which is no character
            text = json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")
            record = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def finite(value: Any) -> float | None:
    """A number that can be drawn, or None: text, infinities, and numbers so large that sums of them are infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _LARGEST else None  # also False for NaN


def counted(count: int, thing: str) -> str:
    """``1 line``, ``1,200 lines``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
