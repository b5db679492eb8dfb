"""``cal-grpo report``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cal_grpo.cli.commands.arguments import expanded

EXAMPLES = """
The page holds all it needs, opens from disk and can be mailed: figures, curves, misses by reason, and a table of rollouts to \
filter, with the tokens' advantages as colours. It shows what the policy and the judge wrote, whatever that is, as text.

[bold]Examples[/bold]

  cal-grpo report runs/first                              writes report.html

  cal-grpo report runs/grpo runs/cal --output both.html   side by side
"""


def report_command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Run folders; they may still be training.", callback=expanded)
    ],
    output: Annotated[Path, typer.Option(help="Page to write.", callback=expanded)] = Path("report.html"),
    rollouts: Annotated[int, typer.Option(min=0, help="Rollouts in it at most, drawn evenly from all runs.")] = 5000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON about what was written.")] = False,
) -> None:
    """Write runs as one self-contained HTML page."""
    from cal_grpo.cli.screen import reading
    from cal_grpo.errors import UsageError, one_line
    from cal_grpo.seeing import report_page, write_page

    opened = reading(runs)
    for run in opened:
        if not (run.metrics or run.rollouts or run.answers):
            raise UsageError(f"{run.path}: has nothing to show yet; expected an evaluation or an update; try again later")
    page = report_page(opened, rollouts)
    write_page(output, page)
    notes = [f"{run.name}: {note}" for run in opened for note in run.notes]
    notes += [f"{run.name}: {run.state} after {run.steps} updates" for run in opened if run.state != "finished"]
    written = sum(len(run.rollouts) for run in opened)
    shown = min(rollouts, written)
    if as_json:
        record = {"output": str(output), "bytes": len(page.encode()), "rollouts": shown, "written": written, "notes": notes}
        typer.echo(json.dumps(record, indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False)
    for note in notes:
        console.print(f"! {one_line(note)}", style="yellow", markup=False, soft_wrap=True)
    text = f"{output}: {len(opened)} run{'s' * (len(opened) > 1)}, {shown:,} of {written:,} rollouts"
    console.print(f"{one_line(text)}, {len(page.encode()) / 1e6:.1f} MB", markup=False, soft_wrap=True)


report_command.__doc__ = f"{report_command.__doc__}\n{EXAMPLES}"
