"""The command line. Each command is one file here; heavy imports happen inside commands, so that ``--help`` is quick."""

import sys
import time

from cal_grpo.errors import UsageError

BEGAN = time.monotonic()


def main() -> None:
    """Entry point of ``cal-grpo``: a ``UsageError`` becomes one line on stderr and exit status 2."""
    from dotenv import load_dotenv

    from cal_grpo.cli.app import app

    load_dotenv(".env")  # keys for the oracles; the environment wins
    try:
        app(standalone_mode=True)
    except UsageError as e:
        print(f"cal-grpo: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("cal-grpo: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
