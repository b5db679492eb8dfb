"""The commands, under their names."""

from importlib import metadata
from typing import Annotated

import typer

from cal_grpo.cli.train import train_command

app = typer.Typer(
    name="cal-grpo",
    help="Train a language model with credit on the exact tokens where a wrong answer first goes wrong.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("train")(train_command)


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        typer.echo(metadata.version("cal-grpo"))
        raise typer.Exit
