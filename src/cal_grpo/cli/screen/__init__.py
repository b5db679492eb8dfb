"""What does a person see in the terminal?

Names are imported when first used: rich, and what is drawn with it, costs a command that prints JSON nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cal_grpo.cli.screen.bench_view import bench_table
    from cal_grpo.cli.screen.browser import SHOWS, Browser, shows
    from cal_grpo.cli.screen.ending import print_summary
    from cal_grpo.cli.screen.keyboard import keys
    from cal_grpo.cli.screen.notes import Notes
    from cal_grpo.cli.screen.panel import Panel
    from cal_grpo.cli.screen.quiet import quiet_third_parties
    from cal_grpo.cli.screen.rollout_view import rollout_text
    from cal_grpo.cli.screen.run_reading import reading
    from cal_grpo.cli.screen.styles_view import styles_table
    from cal_grpo.cli.screen.words import cost, printable

_HOMES = {
    "SHOWS": "browser",
    "Browser": "browser",
    "Notes": "notes",
    "Panel": "panel",
    "bench_table": "bench_view",
    "cost": "words",
    "keys": "keyboard",
    "print_summary": "ending",
    "printable": "words",
    "quiet_third_parties": "quiet",
    "reading": "run_reading",
    "rollout_text": "rollout_view",
    "shows": "browser",
    "styles_table": "styles_view",
}

__all__ = [
    "SHOWS",
    "Browser",
    "Notes",
    "Panel",
    "bench_table",
    "cost",
    "keys",
    "print_summary",
    "printable",
    "quiet_third_parties",
    "reading",
    "rollout_text",
    "shows",
    "styles_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
