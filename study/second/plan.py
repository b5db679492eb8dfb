"""The trainings of the second part, from a YAML file.

held_out: 256                # questions, the same for all
first: 512                   # of the held-out ones, so many are left to others
defaults: {steps: 12, seed: [10, 11, 12], learning_rate: [1.0e-4, 2.0e-4, 4.0e-4]}
trials:                      # lists are multiplied out; arm and judge are whole mappings, or a list of them
  - {arm: {credit: prefix, questions: 64, answers: 1, baseline: batch}, seed: 10}
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from cal_grpo.errors import UsageError
from study.many import Rows, tell
from study.second.arm import Trial
from study.second.training import run
from study.second.worlds import for_trial

_TRIAL = TypeAdapter(Trial)


@dataclass(frozen=True)
class Plan:
    """Trials in the order in which they are run, and the held-out questions of all."""

    trials: list[Trial]
    held_out: int
    first: int


def load_plan(file: Path) -> Plan:
    """Read and check a plan.

    Raises:
        UsageError: it cannot be read, or a trial is not one.
    """
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        trials = [
            _TRIAL.validate_python(dict(zip(grid, values, strict=True)))
            for grid in (data.get("defaults", {}) | trial for trial in data["trials"])
            for values in itertools.product(*(value if isinstance(value, list) else [value] for value in grid.values()))
        ]
        return Plan(list(dict.fromkeys(trials)), int(data["held_out"]), int(data["first"]))
    except ValidationError as e:
        first = e.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"plan {file}: {place} is {first['input']!r:.60}: {first['msg']}; see study/second/plan.py") from e
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as e:
        raise UsageError(
            f"plan {file}: cannot be read ({' '.join(str(e).split()):.80}); expected the keys held_out, first and trials"
        ) from e


def train_one(plan: Plan, trial: Trial) -> Rows:
    """One trial's rows."""
    rows: Rows = []
    for row in run(for_trial(trial, plan.held_out, plan.first), trial):
        rows.append(row)
        tell(f"  {trial}: {row['held_out'].mean():.3f} after {row['update']} of {trial.updates} updates")
    return rows


def trial_of(data: Any) -> Trial:
    """A trial from what ``dataclasses.asdict`` made of it.

    Raises:
        ValidationError: it is none.
    """
    return _TRIAL.validate_python(data)
