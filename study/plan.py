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
from pydantic import PositiveInt, TypeAdapter, ValidationError

from cal_grpo.errors import UsageError
from study.formulas import formula_of
from study.trial import Trial

_FIELDS = {field.name for field in dataclasses.fields(Trial)}
_KEYS = {"held_out", "group_size", "defaults", "trials"}
_TRIAL = TypeAdapter(Trial)
_COUNT = TypeAdapter(PositiveInt)


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
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        raise UsageError(f"plan {file}: cannot be read as YAML ({' '.join(str(e).split())}); check the path") from e
    if not isinstance(data, dict) or not isinstance(data.get("trials"), list):
        raise UsageError(f"plan {file}: no list of trials; expected the keys {', '.join(sorted(_KEYS))}")
    if unknown := sorted(map(str, set(data) - _KEYS)):
        raise UsageError(f"plan {file}: unknown key {unknown[0]!r}; expected {', '.join(sorted(_KEYS))}")
    defaults = data.get("defaults") or {}
    for grid in (defaults, *data["trials"]):
        if not isinstance(grid, dict):
            raise UsageError(
                f"plan {file}: got {grid!r:.60} as defaults or a trial; expected names and values, such as seed: 0"
            )
    trials = [trial for grid in data["trials"] for trial in _multiplied(file, grid, defaults)]
    for trial in trials:
        formula_of(trial.credit)
    counts = {name: _checked(file, name, _COUNT, data[name]) for name in ("held_out", "group_size") if name in data}
    return Plan(list(dict.fromkeys(trials)), **counts)


def _multiplied(file: Path, grid: dict[str, Any], defaults: dict[str, Any]) -> list[Trial]:
    fields = grid | {name: value for name, value in defaults.items() if name not in grid}
    if unknown := sorted(map(str, set(fields) - _FIELDS)):
        raise UsageError(f"plan {file}: unknown field {unknown[0]!r} of a trial; expected {', '.join(sorted(_FIELDS))}")
    choices = [value if isinstance(value, list) else [value] for value in fields.values()]
    return [_checked(file, "a trial", _TRIAL, dict(zip(fields, values, strict=True))) for values in itertools.product(*choices)]


def _checked(file: Path, what: str, kind: "TypeAdapter[Any]", value: Any) -> Any:
    try:
        return kind.validate_python(value)
    except ValidationError as e:
        first = e.errors()[0]
        if first["type"] == "missing":
            message = f"is incomplete: {first['loc'][0]} is missing; expected credit, steps, learning_rate and seed"
        else:
            message = " ".join([*map(str, first["loc"]), f"is {first['input']!r:.60}: {first['msg']}"])
        raise UsageError(f"plan {file}: {what} {message}") from e
