"""A study's results: one CSV file, a row an update, a trial at a time."""

import csv
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cal_grpo.errors import UsageError
from cal_grpo.study.train import Trial

_TRIAL = [field.name for field in dataclasses.fields(Trial)]
_NUMBERS = [
    "update", "seconds", "accuracy", "tokens", "step_error_rate", "loss", "grad_norm", "kl", "entropy", "asked", "found",
    "credit_share", "advantage_variance", "advantage_variance_grpo",
]  # fmt: skip
_COLUMNS = [*_TRIAL, *_NUMBERS, "held_out", "right_of_k"]


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished trial: its rows, with numbers as floats and ``held_out`` as a bool array."""

    trial: Trial
    rows: list[dict[str, Any]]

    @property
    def evaluations(self) -> list[tuple[int, np.ndarray]]:
        """(update, bool (questions,)) of every held-out evaluation."""
        return [(int(row["update"]), row["held_out"]) for row in self.rows if row["held_out"] is not None]

    def curve(self, column: str) -> np.ndarray:
        """float64 (updates,): a column of all updates, NaN where it is empty."""
        return np.array([row[column] for row in self.rows[1:]], dtype=np.float64)


class Results:
    """The finished trials of a file. A trial is appended whole when it is finished, so a killed study loses one.

    Raises:
        UsageError: the file is no such CSV.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.done: dict[str, Result] = {}
        if file.exists():
            self.done = {result.trial.key: result for result in _read(file)}

    def append(self, trial: Trial, rows: Iterable[dict[str, Any]]) -> None:
        """Add a finished trial."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        own = dataclasses.asdict(trial)
        with self.file.open("a", newline="") as f:
            writer = csv.DictWriter(f, _COLUMNS, restval="", lineterminator="\n")
            if f.tell() == 0:
                writer.writeheader()
            writer.writerows([own | {name: _short(value) for name, value in row.items()} for row in rows])
            f.flush()
            os.fsync(f.fileno())
        self.done[trial.key] = next(r for r in _read(self.file) if r.trial.key == trial.key)


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _read(file: Path) -> list[Result]:
    with file.open(newline="") as f:
        reader = csv.DictReader(f)
        if reader.fieldnames != _COLUMNS:
            raise UsageError(f"{file}: not a study's results; expected the columns {', '.join(_COLUMNS[:4])}, ...")
        grouped: dict[Trial, list[dict[str, Any]]] = {}
        for row in reader:
            kinds = {field.name: type(field.default) for field in dataclasses.fields(Trial)}
            kinds |= {"credit": str, "steps": int, "learning_rate": float, "seed": int}
            trial = Trial(**{name: kinds[name](row[name]) for name in _TRIAL})
            numbers: dict[str, Any] = {name: float(row[name]) if row[name] else float("nan") for name in _NUMBERS}
            numbers["held_out"] = np.array([c == "1" for c in row["held_out"]]) if row["held_out"] else None
            numbers["right_of_k"] = np.array(list(map(int, row["right_of_k"].split()))) if row["right_of_k"] else None
            grouped.setdefault(trial, []).append(numbers)
    return [Result(trial, rows) for trial, rows in grouped.items() if rows[-1]["update"] == trial.updates]
