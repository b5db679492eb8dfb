"""The keys of a run's config: listed, described, and told apart when one is unknown."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from cal_grpo.config.sections import Section
from cal_grpo.config.train_config import TrainConfig


def known_keys() -> list[str]:
    """Every key, sections dotted."""
    return [key for key, _ in _fields()]


def described_keys() -> list[tuple[str, str, str]]:
    """(key, default, meaning) of every key, the meaning with its choices; the default of one that is not set is a dash."""
    defaults = TrainConfig().model_dump(mode="json")
    rows = []
    for key, field in _fields():
        section, _, inner = key.partition(".")
        default = defaults[section][inner] if inner else defaults[section]
        described = field.description or ""
        if choices := [kind for kind in _kinds(field.annotation) if isinstance(kind, str)]:
            described += f" One of: {', '.join(choices)}."
        rows.append((key, "-" if default is None else str(default), described))
    return rows


def is_text(key: str) -> bool:
    """Whether a key takes free text or a path, at most beside null and a boolean."""
    kinds = set(_kinds(field.annotation)) if (field := dict(_fields()).get(key)) else set()
    return bool(kinds & {str, Path}) and kinds <= {str, Path, bool, NoneType}


def takes(key: str, kind: type) -> bool:
    """Whether a value of that type may be a key's."""
    field = dict(_fields()).get(key)
    return field is not None and kind in _kinds(field.annotation)


def nearest(key: str) -> str | None:
    """The key, or the section, that somebody may have meant: in its section first, then by its last part, then by its look."""
    section, dot, inner = key.rpartition(".")
    known = known_keys()
    here = [k.removeprefix(f"{section}.") for k in known if dot and k.startswith(f"{section}.")]
    if near := difflib.get_close_matches(inner, here, n=1, cutoff=0.5):
        return f"{section}.{near[0]}"
    if here:
        return None
    same = [k for k in known if k.rpartition(".")[2] == key]
    near = difflib.get_close_matches(key, TrainConfig.model_fields, n=1) or same
    near = near or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return near[0] if near else None


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    for name, field in TrainConfig.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            yield from ((f"{name}.{inner}", found) for inner, found in section.model_fields.items())
        else:
            yield name, field


def _kinds(annotation: Any) -> list[Any]:
    """What a value may be: types, and a ``Literal``'s choices as they are; of a list, what each of its items may be."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) is tuple and (choices := _kinds(get_args(annotation)[0])) and isinstance(choices[0], str):
        return choices
    if get_origin(annotation) is None or get_origin(annotation) in (tuple, dict):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _kinds(part)]
