"""What Typer's options and arguments lack: flags that are shown as flags, and paths that mean what a shell makes of them."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cal_grpo.files import expanded_path

_MISUSED: tuple[Any, ...] = (typer.BadParameter.__mro__[1],)  # click's UsageError, of which Typer 0.2x has a copy of its own


def expanded(value: Any) -> Any:
    """A path, or several, with ``~`` and ``$VARIABLES`` filled in: a callback for an option or argument."""
    if isinstance(value, list | tuple):
        return [expanded_path(one) for one in value]
    return value if value is None else expanded_path(value)


class Command(TyperCommand):
    """A command whose flags are shown as flags, and whose help is named where it was misused."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except _MISUSED as e:  # names no command where an option lacks its value
            e.ctx = e.ctx or ctx
            raise


class Group(TyperGroup):
    """A group of such commands, and its own flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


def _plain(parameters: list[Any]) -> list[Any]:
    """Typer 0.29 writes ``<bool>`` behind flags (typer/rich_utils.py, ``_print_options_panel``), as if one had to follow."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters
