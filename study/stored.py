"""A study's results: CSV files in one folder, a row an evaluation, a trial at a time."""

import csv
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cal_grpo.errors import UsageError
from study.trial import Trial

_TRIAL = [field.name for field in dataclasses.fields(Trial)]
_NUMBERS = [
    "update", "seconds", "accuracy", "tokens", "length", "answer_steps", "step_error_rate", "loss", "grad_norm", "kl",
    "entropy", "asked", "found", "credit_share", "advantage_variance", "advantage_variance_grpo",
]  # fmt: skip
_COLUMNS = [*_TRIAL, *_NUMBERS, "questions", "held_out", "right_of_k"]
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Trial)}
_LATER = {"train_end_token"}  # files that were written before have no such column: their trials have the default


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished trial. Each row has ``held_out`` as a bool array, ``right_of_k`` as ints or None, and floats."""

    trial: Trial
    rows: list[dict[str, Any]]

    @property
    def accuracies(self) -> np.ndarray:
        """float64 (evaluations,)."""
        return np.array([row["held_out"].mean() for row in self.rows])


class Results:
    """The finished trials of all files of a folder. A trial is written whole when it is finished, so that a killed study
    loses the one it was at; its rows go to ``NAME.csv``.

    Raises:
        UsageError: a file of the folder is no such CSV, or a line of it was cut off.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.csv"
        self.done: dict[Trial, Result] = {r.trial: r for file in sorted(folder.glob("*.csv")) for r in _read(file)}

    def append(self, trial: Trial, rows: Iterable[dict[str, Any]]) -> None:
        """Add a finished trial."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        own = dataclasses.asdict(trial)
        columns = _columns(self.file)
        if missing := [name for name in _TRIAL if name not in columns and own[name] != _DEFAULTS[name]]:
            raise UsageError(
                f"{self.file}: has no column {missing[0]!r}, which this trial needs; give its plan a name of its own"
            )
        with self.file.open("a", newline="") as f:
            writer = csv.DictWriter(f, columns, restval="", extrasaction="ignore", lineterminator="\n")
            if f.tell() == 0:
                writer.writeheader()
            writer.writerows([own | _written(row) for row in rows])
            f.flush()
            os.fsync(f.fileno())
        self.done |= {r.trial: r for r in _read(self.file) if r.trial == trial}


def _columns(file: Path) -> list[str]:
    """Those that a file has; all of them for one that is not there yet."""
    try:
        with file.open(newline="") as f:
            return list(csv.DictReader(f).fieldnames or _COLUMNS)
    except FileNotFoundError:
        return _COLUMNS


def _written(row: dict[str, Any]) -> dict[str, Any]:
    right = np.asarray(row["held_out"], dtype=bool)
    cells: dict[str, Any] = {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()}
    cells |= {"questions": len(right), "held_out": np.packbits(right).tobytes().hex()}
    if "right_of_k" in row:
        cells["right_of_k"] = " ".join(map(str, row["right_of_k"]))
    return cells


def _read(file: Path) -> list[Result]:
    kinds: dict[str, Any] = {field.name: type(field.default) for field in dataclasses.fields(Trial)}
    kinds |= {"credit": str, "steps": int, "learning_rate": float, "seed": int, "train_end_token": "True".__eq__}
    grouped: dict[Trial, list[dict[str, Any]]] = {}
    with file.open(newline="") as f:
        reader = csv.DictReader(f)
        names = list(reader.fieldnames or ())
        if names != [name for name in _COLUMNS if name in names] or set(_COLUMNS) - set(names) - _LATER:
            raise UsageError(f"{file}: not a study's results; expected the columns {', '.join(_COLUMNS[:4])}, ...")
        for row in reader:
            try:
                trial = Trial(**{name: kinds[name](row[name]) for name in _TRIAL if name in names})
                numbers: dict[str, Any] = {name: float(row[name]) if row[name] else float("nan") for name in _NUMBERS}
                bits = np.unpackbits(np.frombuffer(bytes.fromhex(row["held_out"]), np.uint8))
                numbers["held_out"] = bits[: int(row["questions"])].astype(bool)
                numbers["right_of_k"] = np.array(list(map(int, row["right_of_k"].split()))) if row["right_of_k"] else None
            except (ValueError, TypeError, AttributeError) as e:  # TypeError, AttributeError: it ends too early
                raise UsageError(
                    f"{file}, line {reader.line_num}: not a whole evaluation; correct the line or remove it"
                ) from e
            grouped.setdefault(trial, []).append(numbers)
    return [Result(trial, rows) for trial, rows in grouped.items() if rows[-1]["update"] == trial.updates]
