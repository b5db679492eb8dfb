"""``cal-grpo compare``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cal_grpo.cli.commands.arguments import expanded

if TYPE_CHECKING:
    from rich.table import Table

    from cal_grpo.seeing import Comparison, Paired

EXAMPLES = """
The first run's setting is the baseline. Runs that differ in their seed alone are one setting. Held-out answers are paired by \
question. With one run a setting the intervals are over questions (Wilson, Newcombe), with several seeds over seeds (Student).

[bold]Examples[/bold]

  cal-grpo compare runs/grpo runs/cal          one table, and compare.svg

  cal-grpo compare runs/grpo-* runs/cal-*      three seeds each

  cal-grpo compare runs/grpo runs/cal --json   every figure

[bold]Plain GRPO beside CAL[/bold]

  cal-grpo train --output runs/grpo --set use_cal=false

  cal-grpo train --output runs/cal
"""


def compare_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, the baseline first.", callback=expanded)],
    output: Annotated[Path, typer.Option(help="Picture to write.", callback=expanded)] = Path("compare.svg"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare runs: held-out accuracy with 95 % intervals, curves, one table and one SVG."""
    from cal_grpo.errors import UsageError, one_line
    from cal_grpo.seeing import compare, compare_svg, open_runs, write_page

    if len(runs) < 2:
        raise UsageError(f"got one run, {runs[0]}; expected two or more, the baseline first; for one run, see cal-grpo report")
    opened = open_runs(runs)
    for run in opened:
        if not run.metrics:
            raise UsageError(f"{run.path}: has no update yet; expected a run that trained; try again later, or leave it out")
    comparison = compare(opened)
    write_page(output, compare_svg(comparison))
    if as_json:
        typer.echo(json.dumps(comparison.record() | {"svg": str(output)}, indent=2))
        return
    from rich.console import Console

    console = Console()
    console.print(table(comparison))
    for note in comparison.notes:
        console.print(f"! {one_line(note)}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(f"curves and intervals: {one_line(str(output))}", markup=False, highlight=False, soft_wrap=True)


compare_command.__doc__ = f"{compare_command.__doc__}\n{EXAMPLES}"


def table(comparison: "Comparison") -> "Table":
    """A column a setting: figures keep their names in sight on a narrow terminal."""
    from rich.table import Table

    from cal_grpo.cli.screen import printable
    from cal_grpo.seeing import in_words

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("")
    for row in comparison.rows:
        drawn.add_column(printable(row.label), justify="right", overflow="fold")

    def figure(name: str, form: str, times: float = 1.0) -> list[str]:
        return ["-" if (value := row.final[name]) is None else form.format(times * value) for row in comparison.rows]

    drawn.add_row("held-out before, %", *(in_words(row.before) for row in comparison.rows))
    drawn.add_row("held-out after, %", *(in_words(row.after) for row in comparison.rows))
    drawn.add_row("gain, points", *(in_words(row.gain, "+") for row in comparison.rows))
    drawn.add_row(
        "[bold]against baseline, points[/bold]",
        *(f"[bold]{in_words(row.difference, '+')}[/bold]" if row.difference else "-" for row in comparison.rows),
    )
    drawn.add_row("  interval over", *(row.over or "-" for row in comparison.rows))
    drawn.add_row("  questions gained, lost", *(_gained_lost(row.pairs) for row in comparison.rows), end_section=True)
    drawn.add_row("runs", *(str(len(row.runs)) for row in comparison.rows))
    drawn.add_row("updates", *figure("updates", "{:.0f}"))
    drawn.add_row("training accuracy, %", *figure("accuracy", "{:.1f}", 100))
    drawn.add_row("KL, nats a token", *figure("kl", "{:.4f}"))
    drawn.add_row("entropy, nats a token", *figure("entropy", "{:.3f}"))
    drawn.add_row("tokens an answer", *figure("tokens_mean", "{:.1f}"))
    drawn.add_row("oracle's calls", *figure("oracle_calls", "{:,.0f}"))
    drawn.add_row("oracle's price, $", *figure("usd", "{:.4f}"))
    drawn.add_row("wall-clock, s", *figure("wall_s", "{:,.0f}"))
    return drawn


def _gained_lost(pairs: "list[Paired]") -> str:
    return ", ".join(f"+{pair.gained} -{pair.lost}" for pair in pairs) or "-"
