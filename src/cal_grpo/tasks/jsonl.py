"""Questions from a JSONL file, or GSM8K from the hub."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.tasks.split import Split, split_of
from cal_grpo.tasks.types import Example


def parse_row(row: Mapping[str, Any], where: str) -> Example:
    """A question from a row with ``question`` and ``answer``.

    ``answer`` in GSM8K's form, a worked solution and ``#### x``, is the reference and holds the final answer. A bare
    answer is its own reference, unless the row has a ``reference`` (or ``solution``) field.

    Raises:
        UsageError: a field is missing, empty or not text.
    """
    fields = {}
    for name in ("question", "answer"):
        value = row.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            have = ", ".join(map(str, row)) or "nothing"
            raise UsageError(f"{where}: field {name!r} is {value!r}; expected text (the row has {have})")
        fields[name] = value
    _solution, marker, final = fields["answer"].rpartition("####")
    if marker and final.strip():
        return Example(fields["question"], final.strip(), fields["answer"])
    reference = row.get("reference") or row.get("solution") or fields["answer"]
    return Example(fields["question"], fields["answer"].strip(), str(reference))


def read_jsonl(file: Path) -> list[Example]:
    """Every question of a file.

    Raises:
        UsageError: the file is missing or empty, or a line is not a row; the message has the line's number.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"data {file}: not found; expected a JSONL file with question and answer") from None
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
            raise UsageError(f"data {file}, line {number}: a {type(row).__name__}; expected an object with question and answer")
        examples.append(parse_row(row, f"data {file}, line {number}"))
    if not examples:
        raise UsageError(f"data {file}: empty; expected one JSON object a line")
    return examples


def read_gsm8k() -> tuple[list[Example], list[Example]]:
    """GSM8K's training and test parts from the hub (openai/gsm8k, MIT).

    Raises:
        UsageError: the hub cannot be reached.
    """
    from datasets import load_dataset

    try:
        data = load_dataset("openai/gsm8k", "main")
    except Exception as e:
        reason = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise UsageError(f"gsm8k could not be downloaded ({reason}); pass --data FILE.jsonl instead") from e
    train, test = ([parse_row(row, f"gsm8k {part} row {i}") for i, row in enumerate(data[part])] for part in ("train", "test"))
    return train, test


def of_split(examples: Iterable[Example], split: Split) -> list[Example]:
    return [e for e in examples if split_of(e.question) == split]
