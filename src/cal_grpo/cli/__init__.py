"""The command line. Each command is one file here; heavy imports happen inside commands, so that ``--help`` is quick."""

import sys
import time
from typing import Any, NoReturn

from cal_grpo.errors import UsageError

BEGAN = time.monotonic()


def main() -> None:
    """Entry point of ``cal-grpo``: what a person can fix becomes one line on stderr and exit status 2."""
    import typer
    from dotenv import load_dotenv

    from cal_grpo.cli.app import app

    load_dotenv(".env")  # keys for the oracles; the environment wins
    misused: Any = typer.BadParameter.__mro__[1]  # click's UsageError, of which Typer 0.2x has a copy of its own
    try:
        status = app(prog_name="cal-grpo", standalone_mode=False)
    except UsageError as e:
        _refuse(str(e))
    except misused as e:
        message = e.format_message().rstrip(".")  # empty where no command was named: the help has been printed
        _refuse(f"{message}; see {e.ctx.command_path if e.ctx else 'cal-grpo'} --help" if message else "")
    except (KeyboardInterrupt, typer.Abort):
        print("cal-grpo: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    raise SystemExit(status or 0)


def _refuse(message: str) -> NoReturn:
    if message:
        print(f"cal-grpo: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2) from None
