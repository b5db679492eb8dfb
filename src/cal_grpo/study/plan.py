"""A study's trainings, from a YAML file.

held_out: 512
group_size: 8
defaults: {updates: 40, evaluate_every: 10}       # any field of Trial
trials:                                           # lists are multiplied out, the last one fastest
  - {steps: 8, seed: [0, 1], learning_rate: [1.0e-4, 2.0e-4], credit: [grpo, prefix]}
"""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cal_grpo.credit import formula
from cal_grpo.errors import UsageError
from cal_grpo.study.train import Trial

_FIELDS = {field.name for field in dataclasses.fields(Trial)}
_KEYS = {"held_out", "group_size", "defaults", "trials"}


@dataclass(frozen=True)
class Plan:
    """Trials in the order in which they are run; the same ``held_out`` questions and ``group_size`` for all."""

    trials: list[Trial]
    held_out: int = 512
    group_size: int = 8


def load_plan(file: Path) -> Plan:
    """Read and check a plan.

    Raises:
        UsageError: unreadable, an unknown key, formula or field, or an incomplete trial.
    """
    try:
        data = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as e:
        raise UsageError(f"plan {file}: cannot be read as YAML ({' '.join(str(e).split())}); check the path") from e
    if not isinstance(data, dict) or not isinstance(data.get("trials"), list):
        raise UsageError(f"plan {file}: no list of trials; expected the keys {', '.join(sorted(_KEYS))}")
    if unknown := sorted(set(data) - _KEYS):
        raise UsageError(f"plan {file}: unknown key {unknown[0]!r}; expected {', '.join(sorted(_KEYS))}")
    trials = [trial for grid in data["trials"] for trial in _multiplied(file, grid, data.get("defaults") or {})]
    for trial in trials:
        formula(trial.credit)
    return Plan(list(dict.fromkeys(trials)), data.get("held_out", 512), data.get("group_size", 8))


def _multiplied(file: Path, grid: dict[str, Any], defaults: dict[str, Any]) -> list[Trial]:
    fields = grid | {name: value for name, value in defaults.items() if name not in grid}
    if unknown := sorted(set(fields) - _FIELDS):
        raise UsageError(f"plan {file}: unknown field {unknown[0]!r} of a trial; expected {', '.join(sorted(_FIELDS))}")
    choices = [value if isinstance(value, list) else [value] for value in fields.values()]
    try:
        return [Trial(**dict(zip(fields, values, strict=True))) for values in itertools.product(*choices)]
    except TypeError as e:
        raise UsageError(f"plan {file}: a trial is incomplete ({e}); expected credit, steps, learning_rate and seed") from e
