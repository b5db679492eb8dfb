"""A user's own parts: an oracle, a credit formula, a task or a reward, by ``module:name`` or under a registered name.

A package registers names through entry points of the groups below; ``module:name`` needs no registration. The working
directory comes last on the path, so that a file beside the config is found and hides nothing that is installed.
"""

import difflib
import hashlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from cal_grpo.errors import UsageError

Kind = Literal["oracle", "credit", "task", "reward"]
GROUPS = {"oracle": "cal_grpo.oracles", "credit": "cal_grpo.credit", "task": "cal_grpo.tasks", "reward": "cal_grpo.rewards"}
_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")


def is_path(name: str) -> bool:
    """Whether a name has the form ``module:name``."""
    return _PATH.fullmatch(name) is not None


def registered(kind: Kind) -> tuple[str, ...]:
    """The names that installed packages register for a kind of part."""
    return tuple(sorted({entry.name for entry in metadata.entry_points(group=GROUPS[kind])}))


def resolve(kind: Kind, name: str, built_in: Iterable[str] = ()) -> Any:
    """The object of a ``module:name`` or of a registered name.

    Args:
        kind: what it is to be, for the message.
        name: as the config has it.
        built_in: the library's own names, which the message lists.

    Raises:
        UsageError: nothing has that name, its module cannot be imported, or the module has no such attribute.
    """
    if is_path(name):
        module, _, attribute = name.partition(":")
        found: Any = _imported(kind, name, module)
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise UsageError(f"{kind} {name!r}: {_of(found)} has no {part!r}{_guess(part, dir(found))}")
            found = getattr(found, part)
        return found
    entries = {entry.name: entry for entry in metadata.entry_points(group=GROUPS[kind])}
    if name in entries:
        module, _, attribute = entries[name].value.partition(":")
        return resolve(kind, f"{module.strip()}:{attribute.strip()}")
    known = [*built_in, *entries]
    raise UsageError(f"{kind} is {name!r}; expected one of {', '.join(known)}, or module:name{_guess(name, known)}")


def digest(found: Any) -> str:
    """SHA-256 of the source file in which a resolved object is defined; of its name where there is no source.

    An object that its module only imports counts as defined where it was written.
    """
    target = found if isinstance(found, type | ModuleType) or inspect.isroutine(found) else type(found)
    try:
        source = Path(inspect.getsourcefile(target) or "").read_bytes()
    except (TypeError, OSError):
        source = f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', '?')}".encode()
    return hashlib.sha256(source).hexdigest()


def _imported(kind: Kind, name: str, module: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name is not None and (module == e.name or module.startswith(f"{e.name}.")):
            raise UsageError(
                f"{kind} {name!r}: there is no module {e.name!r}; expected one that is installed, or a file in {here}"
            ) from e
        raise UsageError(f"{kind} {name!r}: {module} imports {e.name!r}, which is not installed; install it") from e
    except Exception as e:
        where = _line_of(e, module)
        raise UsageError(f"{kind} {name!r}: {module} cannot be imported ({type(e).__name__}: {e}{where}); correct it") from e


def _line_of(error: BaseException, module: str) -> str:
    """Where in the user's own file an import failed."""
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module:
            line = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return line


def _of(found: Any) -> str:
    return f"module {found.__name__!r}" if isinstance(found, ModuleType) else repr(getattr(found, "__qualname__", found))


def _guess(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [k for k in known if not k.startswith("_")], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
