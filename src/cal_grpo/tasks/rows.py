"""From a row of a data file to a question."""

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.tasks.escapes import eaten_command
from cal_grpo.tasks.gold import final_answer
from cal_grpo.tasks.messages import read_messages
from cal_grpo.tasks.split import key_of
from cal_grpo.tasks.types import USUAL, Example, Fields, Message

Row = Mapping[str, Any]
# Where columns are looked for that nobody named: ours and GSM8K's, then those of TRL's and verl's files.
QUESTIONS = ("question", "prompt")
ANSWERS = ("answer", "solution", "reward_model.ground_truth")
REFERENCES = ("reference", "solution")


def parse_row(row: Row, where: str, fields: Fields = USUAL) -> Example:
    """A question from a row.

    An answer in the form of GSM8K or MATH, a worked solution with ``#### x`` or ``\\boxed{x}``, is the reference and
    holds the final answer. A bare answer is its own reference, unless the row has a column for one.

    Raises:
        UsageError: a field is missing, empty or not text, lost a backslash to JSON, or gives no answer.
    """
    question, before = _question(row, fields.question or _first(row, QUESTIONS), where)
    column = fields.answer or _first(row, ANSWERS)
    answer = _text(row, column, where)
    if fields.reference is not None:
        reference: str | None = _text(row, fields.reference, where)
    else:
        reference = next((_text(row, name, where) for name in REFERENCES if row.get(name)), None)
    try:
        return Example(question, final_answer(answer, fields.worked), reference or answer, before)
    except ValueError as e:
        raise UsageError(f"{where}: field {column!r} {e}; fields.answer=NAME chooses another column") from None


def _first(row: Row, names: tuple[str, ...]) -> str:
    """The first column that the row has; the first name where it has none."""
    return next((name for name in names if name in row or _value(row, name) is not None), names[0])


def _question(row: Row, name: str, where: str) -> tuple[str, tuple[Message, ...]]:
    value = _value(row, name)
    if not (isinstance(value, list) and value and isinstance(value[0], Mapping)):
        return _text(row, name, where), ()
    try:
        question, before = read_messages(value)
    except ValueError as e:
        raise UsageError(f"{where}: field {name!r} {e}") from None
    for _, content in before:
        if content:  # a template may want an empty system message
            _checked(content, row, name, where)
    return _checked(question, row, name, where), before


def _text(row: Row, name: str, where: str) -> str:
    return _checked(_value(row, name), row, name, where)


def _value(row: Row, name: str) -> Any:
    """A column; where there is none of that name, its dots reach into nested fields. None when there is nothing."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _checked(value: Any, row: Row, name: str, where: str) -> str:
    given = value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        value = _spelled(value)
    if not isinstance(value, str) or not key_of(value):
        got = "missing" if given is None and name not in row else ascii(given)[:60]
        raise UsageError(
            f"{where}: field {name!r} is {got}; expected text (the row has {', '.join(_columns(row)) or 'nothing'}); "
            "--set fields.question=NAME and fields.answer=NAME choose other columns"
        )
    if (command := eaten_command(value)) is not None:
        raise UsageError(
            f"{where}: field {name!r} has a control character in the place of {command}, for JSON reads a single backslash so; "
            f"write it twice: \\{command}"
        )
    try:
        value.encode()
    except UnicodeEncodeError as e:
        raise UsageError(
            f"{where}: field {name!r} holds half a character, {value[e.start]!a}, as of an emoji that was cut in two; "
            "correct or remove the line"
        ) from None
    return value


def _spelled(number: int | float | Decimal) -> str | None:
    """A number as a person writes it, 0.00001 and not 1e-05; None for NaN and infinity."""
    if isinstance(number, int):
        return str(number)
    return format(Decimal(repr(number)) if isinstance(number, float) else number, "f") if math.isfinite(number) else None


def _columns(row: Row, prefix: str = "") -> Iterator[str]:
    """Names of the columns, nested ones with their dots; printable."""
    for name, value in row.items():
        full = f"{prefix}{ascii(name)[1:-1] if isinstance(name, str) else name}"
        yield from _columns(value, f"{full}.") if isinstance(value, Mapping) and value else [full]
