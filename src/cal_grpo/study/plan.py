"""A study's trainings, from a YAML file.

policies: {4: build/ledger-2000, 8: embedded}   # a policy for each chain length
held_out: 512
group_size: 8
defaults: {updates: 100, evaluate_every: 10}      # any field of Trial
trials:                                           # lists are multiplied out
  - {credit: [grpo, prefix], steps: [4, 8], learning_rate: [1.0e-4, 2.0e-4], seed: [0, 1]}
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
_KEYS = {"policies", "held_out", "group_size", "defaults", "trials"}


@dataclass(frozen=True)
class Plan:
    """``policies`` by number of steps; the same ``held_out`` questions for all trials."""

    policies: dict[int, str]
    trials: list[Trial]
    held_out: int = 512
    group_size: int = 8


def load_plan(file: Path) -> Plan:
    """Read and check a plan.

    Raises:
        UsageError: unreadable, an unknown key, formula or field, or a length without a policy.
    """
    try:
        data = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as e:
        raise UsageError(f"plan {file}: cannot be read as YAML ({' '.join(str(e).split())}); check the path") from e
    if not isinstance(data, dict) or not isinstance(data.get("trials"), list):
        raise UsageError(f"plan {file}: no list of trials; expected the keys {', '.join(sorted(_KEYS))}")
    if unknown := sorted(set(data) - _KEYS):
        raise UsageError(f"plan {file}: unknown key {unknown[0]!r}; expected {', '.join(sorted(_KEYS))}")
    trials = [trial for grid in data["trials"] for trial in _multiplied(file, (data.get("defaults") or {}) | grid)]
    plan = Plan(data.get("policies") or {}, trials, data.get("held_out", 512), data.get("group_size", 8))
    for trial in trials:
        formula(trial.credit)
        if trial.steps not in plan.policies:
            raise UsageError(f"plan {file}: no policy for {trial.steps} steps; name one under policies")
    return plan


def _multiplied(file: Path, grid: dict[str, Any]) -> list[Trial]:
    if unknown := sorted(set(grid) - _FIELDS):
        raise UsageError(f"plan {file}: unknown field {unknown[0]!r} of a trial; expected {', '.join(sorted(_FIELDS))}")
    choices = [value if isinstance(value, list) else [value] for value in grid.values()]
    try:
        return [Trial(**dict(zip(grid, values, strict=True))) for values in itertools.product(*choices)]
    except TypeError as e:
        raise UsageError(f"plan {file}: a trial is incomplete ({e}); expected credit, steps, learning_rate and seed") from e
