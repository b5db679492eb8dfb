"""The command line. Each command is one file here; heavy imports happen inside commands, so that ``--help`` is quick."""

import sys
import time
from typing import Any, NoReturn

from cal_grpo.errors import RunFailed, UsageError, one_line
from cal_grpo.processes import leads

BEGAN = time.monotonic()


def main() -> None:
    """Entry point of ``cal-grpo``."""
    from dotenv import load_dotenv

    from cal_grpo.cli.app import app

    try:
        load_dotenv(".env")  # keys for the oracles; the environment wins
    except (ValueError, OSError) as e:
        why = "not UTF-8 text" if isinstance(e, ValueError) else e.strerror
        _refuse("cal-grpo", f".env: cannot be read ({why}); expected lines KEY=value, saved as UTF-8")
    run_app(app, "cal-grpo")


def run_app(app: Any, name: str) -> NoReturn:
    """Run a Typer application: what a person can fix becomes one line on stderr and exit status 2, a failed run status 1."""
    import typer

    misused: Any = typer.BadParameter.__mro__[1]  # click's UsageError, of which Typer 0.2x has a copy of its own
    try:
        status = app(prog_name=name, standalone_mode=False)
    except UsageError as e:
        _refuse(name, str(e))
    except RunFailed as e:
        _refuse(name, str(e), status=1)
    except misused as e:
        message = e.format_message().rstrip(".")  # empty where no command was named: the help has been printed
        _refuse(name, f"{message}; see {e.ctx.command_path if e.ctx else name} --help" if message else "")
    except (KeyboardInterrupt, typer.Abort):
        print(f"{name}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    raise SystemExit(status or 0)


def _refuse(name: str, message: str, status: int = 2) -> NoReturn:
    if message and leads():
        print(f"{name}: {one_line(message)}", file=sys.stderr)
    raise SystemExit(status) from None
