"""The command line. Each command is one file here; heavy imports happen inside commands, so that ``--help`` is quick."""

import errno
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from cal_grpo.errors import RunFailed, UsageError, one_line
from cal_grpo.interrupts import check, heard
from cal_grpo.processes import leads

BEGAN = time.monotonic()
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)  # what a system has against a path


def main() -> None:
    """Entry point of ``cal-grpo``."""
    run_app(_app, "cal-grpo")


def _app(**how: Any) -> Any:
    from dotenv import load_dotenv

    from cal_grpo.cli.app import app

    try:
        load_dotenv(".env")  # keys for the oracles; the environment wins
    except (ValueError, OSError) as e:
        why = "not UTF-8 text" if isinstance(e, ValueError) else e.strerror
        raise UsageError(f".env: cannot be read ({why}); expected lines KEY=value, saved as UTF-8") from e
    return app(**how)


def run_app(app: Callable[..., Any], name: str) -> NoReturn:
    """Run a Typer application: what a person can fix becomes one line on stderr and exit status 2, a failed run status 1.

    Args:
        app: it, or a function that imports and calls it: Ctrl-C counts from the beginning.
        name: of the command.
    """
    misused: tuple[Any, ...] = ()
    aborted: tuple[Any, ...] = ()
    try:
        with heard(insist=lambda: _leave(name)):
            import typer

            misused = (typer.BadParameter.__mro__[1],)  # click's UsageError, of which Typer 0.2x has a copy of its own
            aborted = (typer.Abort,)
            status = app(prog_name=name, standalone_mode=False)
            check()  # Typer makes a status of KeyboardInterrupt, without a word (typer 0.29.2, core.py, ``_main``)
    except UsageError as e:
        _refuse(name, str(e))
    except RunFailed as e:
        _refuse(name, str(e), status=1)
    except OSError as e:
        if e.errno not in _NOT_OURS or e.filename is None:
            raise
        _refuse(name, f"{e.filename!s:.200}: {e.strerror}; choose another path, or see to its permissions")
    except misused as e:
        message = e.format_message().rstrip(".")  # empty where no command was named: the help has been printed
        _refuse(name, f"{message}; see {e.ctx.command_path if e.ctx else name} --help" if message else "")
    except (KeyboardInterrupt, *aborted):
        print(f"{name}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    raise SystemExit(status or 0)


def _refuse(name: str, message: str, status: int = 2) -> NoReturn:
    if message and leads():
        print(f"{name}: {one_line(message)}", file=sys.stderr)
    raise SystemExit(status) from None


def _leave(name: str) -> NoReturn:
    """End at once, whatever would catch an exception; with the cursor, which the live panel hides."""
    shown = "\x1b[?25h" if os.isatty(2) else ""
    os.write(2, f"{shown}\n{name}: interrupted\n".encode())
    os._exit(130)
