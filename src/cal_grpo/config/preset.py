"""Settings that come with the package: files of keys in ``presets/``, which any other setting wins over."""

import difflib
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from cal_grpo.errors import UsageError

NO_PRESET = "none"
LANGUAGE_MODEL = "language-model"
_FOLDER = Path(__file__).with_name("presets")


def presets() -> dict[str, str]:
    """The names of the settings that come with the package, each with what it is for."""
    files = sorted(_FOLDER.glob("*.yaml"), key=lambda file: file.stem)
    return {file.stem: _comment(file) for file in files}


def over_preset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a config over those of the preset that they name; without one as they are.

    Args:
        values: of a config; sections are mappings or what was made of them.

    Raises:
        UsageError: there is no preset of that name; the nearest is named.
    """
    name = values.get("preset")
    if name is None or name == NO_PRESET:
        return dict(values)
    over = dict(_keys(name))
    for key, value in values.items():
        mine = value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
        below = over.get(key)
        over[key] = below | mine if isinstance(below, dict) and isinstance(mine, dict) else value
    return over


def _keys(name: Any) -> dict[str, Any]:
    if name not in presets():
        known = [*presets(), NO_PRESET]
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"preset is {name!r}; expected one of {', '.join(known)}{hint}")
    return dict(yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


def _comment(file: Path) -> str:
    lines = takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines)
