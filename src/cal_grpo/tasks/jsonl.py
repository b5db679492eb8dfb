"""Questions from a JSONL file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.grading import marked_answer
from cal_grpo.tasks.types import USUAL, Example, Fields

_REFERENCES = ("reference", "solution")
_WORKED = ("####", "\\boxed", "\\fbox")  # an answer with one of these is a worked solution


def parse_row(row: Mapping[str, Any], where: str, fields: Fields = USUAL) -> Example:
    """A question from a row.

    An answer in the form of GSM8K or MATH, a worked solution with ``#### x`` or ``\\boxed{x}``, is the reference and
    holds the final answer. A bare answer is its own reference, unless the row has a column for one.

    Raises:
        UsageError: a field is missing, empty or not text, or a worked solution marks no answer.
    """
    question, answer = _text(row, fields.question, where), _text(row, fields.answer, where)
    if fields.reference is not None:
        reference: str | None = _text(row, fields.reference, where)
    else:
        reference = next((_text(row, name, where) for name in _REFERENCES if row.get(name)), None)
    final = marked_answer(answer) if any(mark in answer for mark in _WORKED) else None
    if final is None and fields.worked:
        raise UsageError(f"{where}: field {fields.answer!r} marks no answer; expected a solution with \\boxed{{...}} or #### x")
    return Example(question, final or answer.strip(), reference or answer)


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        have = ", ".join(map(str, row)) or "nothing"
        got = f"{value!r:.60}" if name in row else "missing"
        raise UsageError(
            f"{where}: field {name!r} is {got}; expected text (the row has {have}); --set fields.question=NAME and "
            "fields.answer=NAME choose other columns"
        )
    return value


def read_jsonl(file: Path, fields: Fields = USUAL) -> list[Example]:
    """Every question of a file.

    Raises:
        UsageError: the file is missing or empty, or a line is not a row; the message has the line's number.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        expected = f"{fields.question} and {fields.answer}"
        raise UsageError(f"data {file}: not found; expected a JSONL file with {expected}") from None
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"data {file}: cannot be read as UTF-8 text ({e}); check the path") from e
    examples = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as e:
            raise UsageError(f"data {file}, line {number}: not JSON ({e}); expected one object a line") from e
        if not isinstance(row, dict):
            raise UsageError(f"data {file}, line {number}: a {type(row).__name__}; expected an object with named fields")
        examples.append(parse_row(row, f"data {file}, line {number}", fields))
    if not examples:
        raise UsageError(f"data {file}: empty; expected one JSON object a line")
    return examples
