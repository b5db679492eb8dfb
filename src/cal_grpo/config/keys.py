"""The keys of a run's config: read from a file and from ``key=value``, listed, and told apart when one is unknown."""

import contextlib
import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cal_grpo.config.sections import Section
from cal_grpo.config.train_config import TrainConfig
from cal_grpo.errors import UsageError


def load_config(file: Path | None = None, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """A config from a YAML file and dotted overrides (``{"rollout.temperature": 0.7}``), which win.

    Raises:
        UsageError: unreadable file, unknown key (the nearest is named) or bad value; one line.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:  # ValueError: no UTF-8, or a date that is none
            raise UsageError(f"{file}: cannot be read as YAML ({' '.join(str(e).split())}); check the path and syntax") from e
        if not isinstance(values, dict):
            raise UsageError(f"{file}: holds a {type(values).__name__}; expected keys and values")
    for dotted, value in (overrides or {}).items():
        *sections, key = dotted.split(".")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise UsageError(f"{dotted}: {section} is a value, not a section; use a top-level key without a dot")
        target[key] = value
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as e:
        raise UsageError(_one_line(e)) from e


def parse_override(text: str, option: str = "--set") -> tuple[str, Any]:
    """``key=value`` with a YAML value: numbers, booleans and null mean what they look like, all else is text.

    Raises:
        UsageError: it has no ``=``; the message says what ``option`` got.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"{option} got {text!r}; expected key=value, such as learning_rate=1e-4")
    parsed: Any = value
    with contextlib.suppress(yaml.YAMLError, ValueError):  # ValueError: a date that is none
        parsed = yaml.safe_load(value)
    if isinstance(parsed, str):  # YAML 1.1 reads 1e-4 as text
        with contextlib.suppress(ValueError):
            parsed = float(parsed)
    return key.strip(), parsed


def known_keys() -> list[str]:
    """Every key, sections dotted."""
    keys = []
    for name, field in TrainConfig.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            keys += [f"{name}.{inner}" for inner in section.model_fields]
        else:
            keys.append(name)
    return keys


def described_keys() -> list[tuple[str, str, str]]:
    """(key, default, meaning) of every key; the default of one that is not set is a dash."""
    defaults = TrainConfig().model_dump(mode="json")
    rows = []
    for key in known_keys():
        section, _, inner = key.partition(".")
        field, default = TrainConfig.model_fields[section], defaults[section]
        if inner:
            field, default = field.annotation.model_fields[inner], default[inner]  # type: ignore[union-attr]
        rows.append((key, "-" if default is None else str(default), field.description or ""))
    return rows


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.5)
        return f"unknown config key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "; see cal-grpo train --keys")
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{key} = {first['input']!r:.100}: {message}" if key else message
