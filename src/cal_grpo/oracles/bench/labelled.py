"""Wrong solutions whose first error a person has marked, from a JSONL file."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cal_grpo.errors import UsageError
from cal_grpo.jsonlines import read_jsonl_strictly
from cal_grpo.oracles.types import Query

Half = Literal["even", "odd"]
_TEXTS = ("question", "reference_solution", "response")


@dataclass(frozen=True, slots=True)
class Labelled:
    """One label. ``spans`` are the steps' half-open characters of the response; ``first_error`` is a step's index."""

    query: Query
    spans: tuple[tuple[int, int], ...]
    first_error: int
    solution: str  # rows with the same one are labels of the same solution


def read_labelled(file: Path, limit: int | None = None, half: Half | None = None) -> list[Labelled]:
    """The rows of a file: ``question``, ``reference_solution``, ``response``, ``step_spans``, ``first_error_step``.

    Args:
        file: one JSON object a line; a ``solution_key`` tells which rows are about the same solution.
        limit: rows at most, from the start.
        half: only rows whose sha256(solution_key) is even, or odd: for tuning on one and reporting on the other.

    Raises:
        UsageError: unreadable or empty, or a row is not complete or does not fit together; with the line's number.
    """
    rows: list[Labelled] = []
    for row in _rows(file):
        if half is not None and half_of(row.solution) != half:
            continue
        rows.append(row)
        if len(rows) == limit:
            break
    if not rows:
        where = f" in the {half} half" if half else ""
        raise UsageError(f"data {file}: no rows{where}; expected one JSON object a line")
    return rows


def half_of(solution_key: str) -> Half:
    return "odd" if int(hashlib.sha256(solution_key.encode()).hexdigest(), 16) % 2 else "even"


def _rows(file: Path) -> Iterator[Labelled]:
    for number, row in read_jsonl_strictly(Path(file), "data", f"{', '.join(_TEXTS)} and labels"):
        yield _parse(row, f"data {file}, line {number}")


def _parse(row: dict[str, Any], where: str) -> Labelled:
    for name in _TEXTS:
        if not isinstance(row.get(name), str) or not row[name].strip():
            have = ", ".join(map(str, row)) or "nothing"
            raise UsageError(f"{where}: {name} is {row.get(name)!r:.60}; expected text (the row has {have})")
    spans, label = _spans(row.get("step_spans"), row["response"], where), row.get("first_error_step")
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(spans):
        raise UsageError(f"{where}: first_error_step is {label!r}; expected the index of a step, 0 to {len(spans) - 1}")
    query = Query(row["question"], row["reference_solution"], row["response"])
    key = row.get("solution_key")
    return Labelled(query, spans, label, str(key) if key is not None else f"{query.question}\0{query.response}")


def _spans(value: Any, response: str, where: str) -> tuple[tuple[int, int], ...]:
    expected = f"pairs [start, end) of characters, in order, in a response of {len(response)}"
    if not isinstance(value, list) or not value:
        raise UsageError(f"{where}: step_spans is {value!r:.60}; expected {expected}")
    spans: list[tuple[int, int]] = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or not all(type(edge) is int for edge in pair):
            raise UsageError(f"{where}: step_spans holds {pair!r:.60}; expected {expected}")
        start, end = pair
        if not (spans[-1][1] if spans else 0) <= start < end <= len(response):
            raise UsageError(f"{where}: step_spans holds [{start}, {end}]; expected {expected}")
        spans.append((start, end))
    return tuple(spans)
