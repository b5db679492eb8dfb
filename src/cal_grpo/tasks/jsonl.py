"""Questions from a text file: an object a line, or one array of objects."""

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.tasks.rows import ANSWERS, QUESTIONS, parse_row
from cal_grpo.tasks.types import USUAL, Example, Fields

# Numbers keep their spelling: 0.00001 would become 1e-05. NaN and infinity, which JSON does not have, stay no text.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=float)
_SPACE = re.compile(r"[ \t\r\n]*")


def read_jsonl(file: Path, fields: Fields = USUAL) -> list[Example]:
    """Every question of a file.

    Raises:
        UsageError: the file is missing or empty, or a line is not a row; the message has the line's number.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        expected = f"{fields.question or QUESTIONS[0]} and {fields.answer or ANSWERS[0]}"
        raise UsageError(
            f"data {file}: not found; expected a JSONL file with {expected}, a JSON array or Parquet{_beside(Path(file))}"
        ) from None
    except OSError as e:
        raise UsageError(f"data {file}: cannot be read ({e.strerror or e}); check the path") from e
    except UnicodeDecodeError as e:
        raise UsageError(
            f"data {file}: is no UTF-8 text (byte 0x{e.object[e.start]:02x} at {e.start}); expected JSON lines or a JSON array "
            "saved as UTF-8, or Parquet, unpacked"
        ) from e
    array = text.lstrip().startswith("[")
    examples = []
    for number, row in _array(text, file) if array else _lines(text, file):
        if not isinstance(row, dict):
            kind = "a list" if array or isinstance(row, list) else "a value"
            raise UsageError(f"data {file}, line {number}: {kind} ({ascii(row)[:40]}); expected objects with named fields")
        examples.append(parse_row(row, f"data {file}, line {number}", fields))
    if not examples:
        raise UsageError(f"data {file}: empty; expected one JSON object a line")
    return examples


def _beside(file: Path) -> str:
    """The file that may have been meant."""
    names = [p.name for p in file.parent.glob("*.*") if p.suffix in (".jsonl", ".json", ".parquet")]
    near = difflib.get_close_matches(file.stem, [Path(name).stem for name in names], n=1)
    return f"; did you mean {next(p for p in map(file.with_name, names) if p.stem == near[0])}?" if near else ""


def _lines(text: str, file: Path) -> Iterator[tuple[int, Any]]:
    """(line, value) of every line that is not blank."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value, end = _decoded(line, _next(line, 0), number, file)
            _end(line, end, number, file)
            yield number, value


def _array(text: str, file: Path) -> Iterator[tuple[int, Any]]:
    """(line, value) of every item of one array."""
    at, number, counted = _next(text, text.index("[") + 1), 1, 0
    while text[at : at + 1] != "]":
        number, counted = number + text.count("\n", counted, at), at
        value, end = _decoded(text, at, number, file)
        yield number, value
        at = _next(text, end)
        if text[at : at + 1] == ",":
            at = _next(text, at + 1)
        elif text[at : at + 1] != "]":
            number += text.count("\n", counted, at)
            raise UsageError(f"data {file}, line {number}: not JSON (expected a comma or the array's end)")
    _end(text, at + 1, number + text.count("\n", counted, at), file)


def _next(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _end(text: str, at: int, number: int, file: Path) -> None:
    if text[at:].strip():
        raise UsageError(
            f"data {file}, line {number}: not JSON (something behind its end); expected one object a line, or one array"
        )


def _decoded(text: str, at: int, number: int, file: Path) -> tuple[Any, int]:
    """The value that begins at a place, and where it ends."""
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as e:
        number += text.count("\n", at, e.pos)
        hint = "write a backslash twice: \\\\frac" if "escape" in e.msg else "expected one object a line, or one array"
        raise UsageError(f"data {file}, line {number}: not JSON ({e.msg}, column {e.colno}); {hint}") from e
    except RecursionError as e:
        raise UsageError(f"data {file}, line {number}: not JSON that can be read (nested too deeply)") from e
