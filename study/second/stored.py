"""The second part's results: a JSON line a finished trial."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from cal_grpo.errors import UsageError
from study.many import Rows
from study.second.arm import Trial
from study.second.plan import trial_of


class Results:
    """The finished trials of all files of a folder; new ones go to ``NAME.jsonl``.

    Raises:
        UsageError: a line is not a finished trial.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.jsonl"
        self.done: dict[Trial, Rows] = dict(pair for file in sorted(folder.glob("*.jsonl")) for pair in read(file))

    def append(self, trial: Trial, rows: Sequence[dict[str, Any]]) -> None:
        """Add a finished trial."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"trial": dataclasses.asdict(trial), "rows": [_written(row) for row in rows]})
        with self.file.open("a", encoding="utf-8") as f:
            f.write(line + "\n")
            f.flush()
            os.fsync(f.fileno())
        self.done[trial] = list(rows)


def _written(row: dict[str, Any]) -> dict[str, Any]:
    right = np.asarray(row["held_out"], dtype=bool)
    numbers = {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in row.items()}
    numbers |= {"questions": len(right), "held_out": np.packbits(right).tobytes().hex()}
    return numbers | ({"right_of_k": [int(n) for n in row["right_of_k"]]} if "right_of_k" in row else {})


def read(file: Path) -> list[tuple[Trial, Rows]]:
    """The finished trials of a file.

    Raises:
        UsageError: a line is not one.
    """
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            data = json.loads(line)
            rows = data["rows"]
            for row in rows:
                bits = np.unpackbits(np.frombuffer(bytes.fromhex(row["held_out"]), np.uint8))
                row["held_out"] = bits[: row["questions"]].astype(bool)
            found.append((trial_of(data["trial"]), rows))
        except (ValueError, KeyError, TypeError, ValidationError) as e:
            raise UsageError(f"{file}, line {number}: not a finished trial; correct the line or remove it") from e
    return found
