"""A run's config as a person writes it: a YAML file, and ``key=value`` that wins over it."""

import contextlib
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cal_grpo.config.keys import is_text, known_keys, nearest, takes
from cal_grpo.config.train_config import TrainConfig
from cal_grpo.errors import UsageError, one_line


class _Twice(yaml.MarkedYAMLError):
    """A key that stands twice in one mapping."""


class _Loader(yaml.SafeLoader):
    """No key of a config is a date: ``2026-11-27`` is a folder's name."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML has it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A key that stands twice is an error: PyYAML takes the last one, without a word (6.0, constructor.py)."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise _Twice(problem=f"{key.value} stands there twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_config(file: Path | None = None, overrides: Mapping[str, Any] | None = None, preset: str | None = None) -> TrainConfig:
    """A config from a YAML file and dotted overrides (``{"rollout.temperature": 0.7}``), which win.

    Args:
        file: of keys.
        overrides: win over the file.
        preset: a name of ``presets()``, whose keys the file and the overrides win over, or ``none``. Default: the key
            ``preset``, if they have it.

    Raises:
        UsageError: unreadable file, unknown preset or key (the nearest is named) or bad value; one line.
    """
    values = read_keys(file, overrides)
    return _checked(values if preset is None else values | {"preset": preset})


def load_resolved(file: Path, changes: Mapping[str, Any]) -> TrainConfig:
    """A run's own ``config.yaml`` with changes: its preset is on record, and sets nothing any more, whatever it is by now.

    Raises:
        UsageError: as ``load_config``.
    """
    values = read_keys(file, changes)
    preset = values.pop("preset", None)
    return _checked(values).model_copy(update={"preset": preset})


def read_keys(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A file's keys with overrides over them, unchecked, sections as mappings; arguments and errors as ``load_config``'s."""
    values: dict[str, Any] = {} if file is None else _read(Path(file))
    for dotted, value in (overrides or {}).items():
        *sections, key = dotted.split(".")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise UsageError(f"{dotted}: {section} is a value, not a section; use a top-level key without a dot")
        target[key] = value
    return values


def _checked(values: dict[str, Any]) -> TrainConfig:
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as e:
        raise UsageError(_one_line(e)) from e


def parse_override(text: str, option: str = "--set") -> tuple[str, Any]:
    """``key=value``: what the key takes decides.

    For a key of text or a path the value is that text as it is typed, ``4`` and ``1e5`` too; quotes around it are YAML's, and
    ``null`` unsets a key that may be unset. For any other key it is YAML: numbers, booleans, lists and null.

    Raises:
        UsageError: it has no ``=``; the message says what ``option`` got.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise UsageError(f"{option} got {text!r}; expected key=value, such as learning_rate=1e-4")
    parsed: Any = value
    with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
        parsed = _parse(value)
    if is_text(key):
        return key, _as_text(key, value, parsed)
    if isinstance(parsed, str):  # YAML 1.1 reads 1e-4 as text
        with contextlib.suppress(ValueError):
            parsed = float(parsed)
    return key, parsed


def _as_text(key: str, value: str, parsed: Any) -> Any:
    if isinstance(parsed, bool) and takes(key, bool):
        return parsed
    if value[:1] in ("'", '"') and isinstance(parsed, str):
        return parsed
    unset = value == "null" or (not value and takes(key, Path))
    return None if unset and takes(key, type(None)) else value


def _read(file: Path) -> dict[str, Any]:
    try:
        values = _parse(file.read_text(encoding="utf-8-sig")) or {}
    except FileNotFoundError:
        beside = [p.name for p in (*file.parent.glob("*.yaml"), *file.parent.glob("*.yml"))]
        near = difflib.get_close_matches(file.stem, [Path(name).stem for name in beside], n=1)
        hint = f"; did you mean {next(p for p in map(file.with_name, beside) if p.stem == near[0])}?" if near else ""
        raise UsageError(f"{file}: no such file; expected a YAML file of keys (cal-grpo train --keys){hint}") from None
    except IsADirectoryError:
        inside = file / "config.yaml"
        hint = f", such as {inside}" if inside.is_file() else ""
        raise UsageError(f"{file}: is a folder; expected a YAML file of keys{hint}") from None
    except yaml.MarkedYAMLError as e:
        mark, problem = e.problem_mark or e.context_mark, one_line(str(e.problem or e.context))
        line = f", line {mark.line + 1}" if mark is not None else ""
        if isinstance(e, _Twice):
            raise UsageError(f"{file}{line}: {problem}; leave one") from e
        raise UsageError(f"{file}{line}: not YAML ({problem}); check the indentation and the colons there") from e
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:  # ValueError: no UTF-8
        raise UsageError(f"{file}: cannot be read as YAML ({one_line(str(e))}); check the path and syntax") from e
    if not isinstance(values, dict):
        raise UsageError(f"{file}: holds a {type(values).__name__}; expected keys and values")
    sections = {key.partition(".")[0] for key in known_keys() if "." in key}
    return {key: {} if value is None and key in sections else value for key, value in values.items()}  # all commented out


def _parse(text: str) -> Any:
    return yaml.load(text, _Loader)  # a SafeLoader


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = nearest(key)
        return f"unknown config key {key!r}" + (f"; did you mean {near!r}?" if near else "; see cal-grpo train --keys")
    if first["type"] == "model_type":
        inside = next(k for k in known_keys() if k.startswith(f"{key}."))
        return f"{key} = {first['input']!r:.100}: is a section, not a key; expected keys of it, such as {inside}"
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] in ("string_type", "path_type") and isinstance(first["input"], int | float) and key in known_keys():
        message += "; expected text, put it in quotes"
    return f"{key} = {first['input']!r:.100}: {message}" if key else message
