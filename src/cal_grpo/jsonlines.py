"""JSON Lines: written a line at a time, and read as they are, strictly, or with notes about what could not be read."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from cal_grpo.errors import UsageError

ParseFloat = Callable[[str], Any]
OnBytes = Callable[[int], None]
_BOM = b"\xef\xbb\xbf"
_HALF_PAIR = re.compile("[\ud800-\udfff]")


class JSONLine(NamedTuple):
    """One line of a file.

    Attributes:
        number: from 1.
        size: in bytes, with its newline.
        ended: whether it has a newline; only a file's last line may have none.
        row: its object; None where it holds none.
        fault: why it holds none: it is blank, not UTF-8, not JSON, or another JSON value; None where it holds one.
        reason: the fault in words, in one line; empty where there is none.
    """

    number: int
    size: int
    ended: bool
    row: dict[str, Any] | None
    fault: Literal["blank", "bytes", "syntax", "value"] | None = None
    reason: str = ""

    @property
    def torn(self) -> bool:
        """Whether it was cut off: whoever wrote the file was killed, or still writes."""
        return not self.ended and self.fault in ("bytes", "syntax")


class JSONLWriter:
    """Appends objects to a file, which is created when it is not there. Only one process writes it.

    A line is the operating system's when ``write`` returns: the end of the process takes nothing back. A power cut may, but for
    a ``lasting`` line, which is on the disk with all before it.
    Half a surrogate pair, which UTF-8 cannot encode, is written as JSON spells it.

    Args:
        path: the file.
        ascii_only: write all other characters so, too.

    Raises:
        OSError: it cannot be opened, or, by ``write``, the line could not be written. Then it is not there, nor half of it.
    """

    def __init__(self, path: Path, *, ascii_only: bool = False) -> None:
        self._ascii_only = ascii_only
        self._file = path.open("ab", buffering=0)  # no buffer, which would keep what could not be written and try again

    def write(self, row: Mapping[str, Any], *, lasting: bool = False) -> None:
        text = json.dumps(row, ensure_ascii=self._ascii_only) + "\n"
        line, end = memoryview(text.encode("utf-8", "backslashreplace")), os.fstat(self._file.fileno()).st_size
        try:
            while line:  # a disk that is nearly full takes a part
                line = line[self._file.write(line) :]
            if lasting:
                os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(end)
            raise

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def scan_jsonl(path: Path, *, lenient: bool = False, parse_float: ParseFloat | None = None) -> Iterator[JSONLine]:
    """Every line of a file, one at a time. A byte order mark before the first is no part of it.

    Args:
        path: the file.
        lenient: put U+FFFD for bytes that are no UTF-8 and for half a surrogate pair, so that what is read can be written
            again. Otherwise such bytes are a fault, and half a pair, which JSON can spell (``\\ud800``), stays as it is.
        parse_float: makes a number of the spelling of a JSON number that is no integer, as in ``json.loads``.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(_BOM) if number == 1 else line
            row, fault, reason = _parse(text, lenient, parse_float)
            yield JSONLine(number, len(line), line.endswith(b"\n"), row, fault, reason)


def read_jsonl_strictly(
    path: Path, what: str, holds: str, *, parse_float: ParseFloat | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and object of every line that is not blank.

    Args:
        path: the file.
        what: what the file is, as a message begins: ``data``.
        holds: what its objects hold, as a message says it.
        parse_float: see ``scan_jsonl``.

    Raises:
        UsageError: it cannot be read, or a line holds no object; with the file and the line's number.
    """
    try:
        for line in scan_jsonl(path, parse_float=parse_float):
            if line.row is not None:
                yield line.number, line.row
            elif line.fault != "blank":
                expected = f"an object with {holds}" if line.fault == "value" else "one JSON object a line"
                cut = ", and the file ends there" if line.torn else ""
                raise UsageError(f"{what} {path}, line {line.number}: {line.reason}{cut}; expected {expected}")
    except FileNotFoundError:
        raise UsageError(f"{what} {path}: not found; expected a JSONL file with {holds}") from None
    except OSError as e:
        raise UsageError(f"{what} {path}: cannot be read ({e.strerror or e}); check the path and its permissions") from e


def read_jsonl_with_notes(
    path: Path, notes: list[str], on_bytes: OnBytes | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and object of every line that holds one, read leniently. A file that is not there has none.

    Args:
        path: the file.
        notes: gets a line about a last line that was cut off, and one about the others that hold no object.
        on_bytes: hears how many bytes each line had.

    Raises:
        UsageError: the file is there and cannot be read.
    """
    bad: list[int] = []
    torn = False
    try:
        for line in scan_jsonl(path, lenient=True):
            if on_bytes is not None:
                on_bytes(line.size)
            if line.row is not None:
                yield line.number, line.row
            elif line.torn:
                torn = True
            elif line.fault != "blank":
                bad.append(line.number)
    except FileNotFoundError:
        return
    except OSError as e:
        raise UsageError(f"{path}: cannot be read ({e.strerror or e}); check the path and its permissions") from e
    if torn:
        notes.append(f"{path.name}: the last line is cut off and was left out; the run was stopped while it wrote")
    if bad:
        notes.append(f"{path.name}: {counted_lines(len(bad))} left out, first line {bad[0]}: not a JSON object")


def counted_lines(count: int) -> str:
    """``1 line``, ``1,200 lines``."""
    return f"{count:,} line{'' if count == 1 else 's'}"


def _parse(line: bytes, lenient: bool, parse_float: ParseFloat | None) -> tuple[Any, Any, str]:
    """Object, fault and reason of a line."""
    if not line.strip():
        return None, "blank", "blank"
    try:
        value = json.loads(line.decode("utf-8", "replace" if lenient else "strict"), parse_float=parse_float)
        if lenient and b"\\ud" in line.lower():  # perhaps half of a surrogate pair, which is no character
            value = _writable(value)
    except UnicodeDecodeError as e:
        return None, "bytes", f"cannot be read as UTF-8 text (byte {line[e.start]:#04x} at {e.start})"
    except json.JSONDecodeError as e:  # its own words have a "line 1" in them
        return None, "syntax", f"not JSON ({e.msg} at character {e.pos + 1})"
    except RecursionError:
        return None, "syntax", "not JSON (nested too deeply)"
    except ValueError as e:  # a number of thousands of digits
        return None, "syntax", f"not JSON ({e})"
    return (value, None, "") if isinstance(value, dict) else (None, "value", f"a {type(value).__name__}")


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF_PAIR.sub("�", value)
    if isinstance(value, dict):
        return {_writable(key): _writable(inner) for key, inner in value.items()}
    return [_writable(inner) for inner in value] if isinstance(value, list) else value
