"""The commands, under their names."""

from importlib import metadata
from typing import Annotated

import typer

from cal_grpo.cli.commands import (
    Command,
    Group,
    cache_app,
    compare_command,
    eval_command,
    inspect_command,
    oracle_app,
    report_command,
    train_command,
)

app = typer.Typer(
    name="cal-grpo",
    help="Train a language model with credit on the exact tokens where a wrong answer first goes wrong.",
    no_args_is_help=True,
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("train", cls=Command)(train_command)
app.command("eval", cls=Command)(eval_command)
app.command("inspect", cls=Command)(inspect_command)
app.command("report", cls=Command)(report_command)
app.command("compare", cls=Command)(compare_command)
app.add_typer(oracle_app, name="oracle")
app.add_typer(cache_app, name="cache")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("cal-grpo"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
