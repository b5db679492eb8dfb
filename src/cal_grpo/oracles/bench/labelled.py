"""Solutions whose first error people have marked, from a file."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cal_grpo.errors import UsageError
from cal_grpo.grading import marked_answer
from cal_grpo.jsonlines import read_jsonl_strictly
from cal_grpo.oracles.bench.public_formats import Marked, is_public, read_public
from cal_grpo.oracles.types import Query

Half = Literal["even", "odd"]
_TEXTS = ("question", "reference_solution", "response")
_HOLDS = f"{', '.join(_TEXTS)} and labels, or ProcessBench's or PRM800K's fields"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One label.

    Attributes:
        query: what the oracle is asked.
        spans: the steps' half-open characters of the response.
        first_error: a step's index.
        solution: rows with the same one are labels of the same solution.
        number: of the row in its file, from 1: its line, or its place in an array.
        answer: the right final answer; None where the file has none.
    """

    query: Query
    spans: tuple[tuple[int, int], ...]
    first_error: int
    solution: str
    number: int = 0
    answer: str | None = None


def read_labelled(
    file: Path, limit: int | None = None, half: Half | None = None, left_out: Counter[str] | None = None
) -> list[Labelled]:
    """The rows of a file: JSON lines or one JSON array, of three forms.

    - Ours: ``question``, ``reference_solution``, ``response``, ``step_spans``, ``first_error_step``; if wanted, a
      ``solution_key``, which tells which rows are about the same solution, and an ``answer`` or ``reference_answer``, else
      the one that the reference marks.
    - ProcessBench's: ``problem``, ``steps``, ``label``. Without a reference solution.
    - PRM800K's: ``question``, ``label.steps``. The reference is ``ground_truth_solution``, or the bare answer.

    Args:
        file: the file.
        limit: rows at most, from the start.
        half: only rows whose sha256(solution_key) is even, or odd: for tuning on one and reporting on the other.
        left_out: counts rows that have no first error, by reason.

    Raises:
        UsageError: unreadable or empty, or a row is not complete or does not fit together; with the line's number.
    """
    rows: list[Labelled] = []
    without: Counter[str] = Counter() if left_out is None else left_out
    for place, number, row in _rows(Path(file)):
        where = f"data {file}, {place} {number}"
        found = _public(row, where, number) if is_public(row) else _ours(row, where, number)
        if isinstance(found, str):
            without[found] += 1
        elif half is None or half_of(found.solution) == half:
            rows.append(found)
            if len(rows) == limit:
                break
    if not rows:
        where = f" in the {half} half" if half else ""
        why = f" ({', '.join(f'{reason}: {count}' for reason, count in without.items())})" if without else ""
        raise UsageError(f"data {file}: no rows with a first error{where}{why}; expected objects with {_HOLDS}")
    return rows


def half_of(solution_key: str) -> Half:
    return "odd" if int(hashlib.sha256(solution_key.encode()).hexdigest(), 16) % 2 else "even"


def _rows(file: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """("line" or "item", its number, the object) of every line, or of one JSON array."""
    try:
        with file.open("rb") as opened:
            array = opened.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
        values = json.loads(file.read_text(encoding="utf-8-sig")) if array else None
    except FileNotFoundError:
        raise UsageError(f"data {file}: not found; expected a JSONL or JSON file of objects with {_HOLDS}") from None
    except OSError as e:
        raise UsageError(f"data {file}: cannot be read ({e.strerror or e}); check the path and its permissions") from e
    except (ValueError, RecursionError) as e:
        why = "nested too deeply" if isinstance(e, RecursionError) else e
        raise UsageError(f"data {file}: not JSON ({why}); expected one array of objects, or one object a line") from e
    if values is None:
        yield from (("line", number, row) for number, row in read_jsonl_strictly(file, "data", _HOLDS))
        return
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise UsageError(f"data {file}, item {number}: a {type(value).__name__}; expected an object with {_HOLDS}")
        yield "item", number, value


def _public(row: dict[str, Any], where: str, number: int) -> Labelled | str:
    marked = read_public(row, where)
    if isinstance(marked, str):
        return marked
    if not marked.question.strip() or not marked.steps[marked.first_error].strip():
        return "the problem or the marked step is blank"
    response, spans, first_error = _joined(marked)
    query = Query(marked.question, marked.reference, response)
    return Labelled(query, spans, first_error, marked.key or _key(query), number, marked.answer)


def _joined(marked: Marked) -> tuple[str, tuple[tuple[int, int], ...], int]:
    """The response, its steps' characters, and the first wrong one's index, blank steps not counted."""
    spans: list[tuple[int, int]] = []
    at = first_error = 0
    for index, step in enumerate(marked.steps):
        if index == marked.first_error:
            first_error = len(spans)
        if step.strip():
            start = at + len(step) - len(step.lstrip())
            spans.append((start, start + len(step.strip())))
        at += len(step) + len(marked.between)
    return marked.between.join(marked.steps), tuple(spans), first_error


def _ours(row: dict[str, Any], where: str, number: int) -> Labelled:
    for name in _TEXTS:
        if not isinstance(row.get(name), str) or not row[name].strip():
            have = ", ".join(map(str, row)) or "nothing"
            raise UsageError(f"{where}: {name} is {row.get(name)!r:.60}; expected text (the row has {have})")
    spans, label = _spans(row.get("step_spans"), row["response"], where), row.get("first_error_step")
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(spans):
        raise UsageError(f"{where}: first_error_step is {label!r}; expected the index of a step, 0 to {len(spans) - 1}")
    query = Query(row["question"], row["reference_solution"], row["response"])
    key, answer = row.get("solution_key"), row.get("answer", row.get("reference_answer"))
    right = marked_answer(query.reference) if answer is None else str(answer)
    return Labelled(query, spans, label, str(key) if key is not None else _key(query), number, right)


def _key(query: Query) -> str:
    return f"{query.question}\0{query.response}"


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
