"""Worked examples of blame for an LLM oracle, from a JSON file."""

import json
from dataclasses import dataclass
from pathlib import Path

from cal_grpo.errors import UsageError

_REQUIRED = ("question", "correct_solution", "incorrect_solution", "error_segment")
_OPTIONAL = ("critique", "corrected_solution")


@dataclass(frozen=True, slots=True)
class FewShot:
    """One example. ``error_segment`` is an exact quote from ``incorrect_solution``; ``corrected_solution`` is the latter
    with what had to be changed, for the repair style."""

    question: str
    correct_solution: str
    incorrect_solution: str
    error_segment: str
    critique: str = ""
    corrected_solution: str = ""

    @property
    def hint(self) -> str:
        start = self.incorrect_solution.index(self.error_segment)
        return self.incorrect_solution[max(0, start - 40) : start]


def load_few_shot(file: Path | str) -> list[FewShot]:
    """Read and check a file: a JSON list of objects with question, correct_solution, incorrect_solution, error_segment
    and, if wanted, critique and corrected_solution.

    Raises:
        UsageError: unreadable, or an item is incomplete or quotes what its solution does not say; with its number.
    """
    try:
        items = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise UsageError(f"few_shot {file}: cannot be read as JSON ({e}); expected a list of examples") from e
    if not isinstance(items, list):
        raise UsageError(f"few_shot {file}: holds a {type(items).__name__}; expected a list of examples")
    examples = []
    for number, item in enumerate(items, 1):
        where = f"few_shot {file}, item {number}"
        if not isinstance(item, dict):
            raise UsageError(f"{where}: a {type(item).__name__}; expected an object")
        for name in _REQUIRED:
            if not isinstance(item.get(name), str) or not item[name].strip():
                raise UsageError(f"{where}: {name} is {item.get(name)!r:.60}; expected text")
        for name in _OPTIONAL:
            if not isinstance(item.get(name, ""), str):
                raise UsageError(f"{where}: {name} is {item[name]!r:.60}; expected text")
        if item["error_segment"] not in item["incorrect_solution"]:
            raise UsageError(f"{where}: error_segment is not in incorrect_solution; copy it character by character")
        if unknown := sorted(set(item) - {*_REQUIRED, *_OPTIONAL}):
            raise UsageError(f"{where}: unknown field {unknown[0]!r}; expected {', '.join((*_REQUIRED, *_OPTIONAL))}")
        examples.append(FewShot(**item))
    return examples
