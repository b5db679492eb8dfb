"""Parts of the package that need more than the base install: known by name, imported when used."""

import difflib
from collections.abc import Mapping
from importlib import import_module, util
from typing import Any, NamedTuple

from cal_grpo.errors import UsageError


class Extra(NamedTuple):
    """Where a part lives, ``module:name``, and the packages that ``pip install 'cal-grpo[...]'`` brings for it."""

    home: str
    needs: tuple[str, ...]


def require(kind: str, name: str, known: Mapping[str, Extra]) -> Extra:
    """The part of that name; its packages are looked for and not imported, which takes no time.

    Raises:
        UsageError: there is no such part, and the nearest is named; or a package that it needs is not installed.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"{kind} is {name!r}; expected one of {', '.join(known)}{guess}")
    for package in known[name].needs:
        if not _is_there(package):
            raise _missing(kind, name)
    return known[name]


def load(kind: str, name: str, known: Mapping[str, Extra]) -> Any:
    """The part itself, imported.

    Raises:
        UsageError: as in ``require``.
    """
    extra = require(kind, name, known)
    module, _, attribute = extra.home.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as e:
        if e.name not in extra.needs:  # a fault of the part's own
            raise
        raise _missing(kind, name) from e


def _is_there(package: str) -> bool:
    try:
        return util.find_spec(package) is not None
    except (ModuleNotFoundError, ValueError):  # ValueError: in sys.modules, and without a spec
        return False


def _missing(kind: str, name: str) -> UsageError:
    return UsageError(f"{kind} {name!r} is not installed; pip install 'cal-grpo[{name}]'")
