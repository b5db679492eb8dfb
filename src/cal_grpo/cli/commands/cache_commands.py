"""``cal-grpo cache``: stats, export and prune."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cal_grpo.cli.commands.arguments import Command, Group, expanded
from cal_grpo.errors import UsageError

cache_app = typer.Typer(
    cls=Group, help="The verdicts that were paid for: kept on disk, used again by every later run.", no_args_is_help=True
)
_File = Annotated[Path | None, typer.Option("--file", help="Cache file.", callback=expanded, show_default="the user's own")]
_CENTURY = 36_525  # days
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@cache_app.command("stats", cls=Command)
def stats(file: _File = None, as_json: _Json = False) -> None:
    """How many verdicts there are of each oracle, and what they had cost."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cal_grpo.cli.screen import printable
    from cal_grpo.oracles.memory import cache_stats

    found = cache_stats(_path(file))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    console = Console()
    console.print(f"{found['file']}: {found['verdicts']} verdicts, {found['bytes'] / 1e6:.1f} MB", soft_wrap=True, markup=False)
    if not found["oracles"]:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("oracle", "model", "prompt"):
        table.add_column(column)
    for column in ("verdicts", "found", "calls", "tokens", "USD", "last"):
        table.add_column(column, justify="right")
    for row in found["oracles"]:
        usd = "unknown" if row["usd"] is None else f"{row['usd']:.4f}"
        counts = [f"{row[name]:,}" for name in ("verdicts", "found", "calls", "tokens")]
        names = [escape(printable(row.get(name, ""))) for name in ("oracle", "model", "prompt")]
        table.add_row(*names, *counts, usd, row["newest"][:10])
    console.print(table)


@cache_app.command("export", cls=Command)
def export(
    file: _File = None,
    output: Annotated[
        Path | None, typer.Option(help="JSONL file to write.", callback=expanded, show_default="standard output")
    ] = None,
) -> None:
    """Write every verdict with its question, reference and response as a JSON object a line."""
    from cal_grpo.oracles.memory import cache_stats, export_cache

    path = _path(file)
    cache_stats(path)  # what is no cache is refused before the output is created
    try:
        target = sys.stdout if output is None else output.open("x", encoding="ascii")
    except OSError as e:
        raise UsageError(f"--output {output}: cannot be created ({e.strerror}); name a file that is not there yet") from e
    count = 0
    for row in export_cache(path):
        target.write(json.dumps(row) + "\n")
        count += 1
    if output is not None:
        target.close()
        typer.echo(f"{count} verdicts written to {output}")


@cache_app.command("prune", cls=Command)
def prune(
    file: _File = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, max=_CENTURY, help="Only verdicts stored before that.")
    ] = None,
    oracle: Annotated[str | None, typer.Option(help="Only this oracle's, such as openai.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model's.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All verdicts.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting.")] = False,
    as_json: _Json = False,
) -> None:
    """Delete verdicts; conditions add up. What is deleted has to be paid for again."""
    from cal_grpo.oracles.memory import prune_cache

    if not everything and older_than is None and oracle is None and model is None:
        raise UsageError("prune got no condition; expected --older-than DAYS, --oracle NAME, --model NAME or --all")
    path = _path(file)
    count = prune_cache(path, older_than, oracle, model, dry_run=True)
    if count and not yes and not typer.confirm(f"Delete {count} verdicts from {path}?", err=True):
        raise typer.Exit(1)
    deleted = prune_cache(path, older_than, oracle, model)
    typer.echo(json.dumps({"file": str(path), "deleted": deleted}) if as_json else f"{deleted} verdicts deleted from {path}")


def _path(file: Path | None) -> Path:
    from cal_grpo.oracles.memory import default_cache

    return file or default_cache()
