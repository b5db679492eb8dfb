"""``cal-grpo inspect``: rollouts in the terminal."""

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cal_grpo.cli.commands.arguments import expanded
from cal_grpo.errors import one_line

if TYPE_CHECKING:
    from cal_grpo.seeing import Rollout, Run

EXAMPLES = """
In a terminal it is a browser: n and p go on and back, ] and \\[ to another step, f filters, g jumps, / finds, ? helps, q quits.
In a pipe, or with --plain, it prints. The quote that the oracle blamed is underlined, or set between ⟦ and ⟧ without colours.

[bold]Examples[/bold]

  cal-grpo inspect runs/first                      browse, from the first on

  cal-grpo inspect runs/first --step 12 --show missed

  cal-grpo inspect runs/first --step 12 --row 3 --plain

  cal-grpo inspect runs/first --show blamed --json | head
"""


def inspect_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.", callback=expanded)],
    step: Annotated[int | None, typer.Option(help="Update. Browsing starts there; printing prints it alone.")] = None,
    row: Annotated[int | None, typer.Option(help="Rollout of the step, from 1.")] = None,
    show: Annotated[str, typer.Option(help="all, wrong, right, blamed (has a span) or missed (judged, has none).")] = "all",
    find: Annotated[str, typer.Option(help="Only with this text in question, response or critique.")] = "",
    plain: Annotated[bool, typer.Option("--plain", help="Print instead of browsing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
) -> None:
    """Browse a run's rollouts: question, response with the blamed tokens, verdict, advantages."""
    from cal_grpo.cli.screen import SHOWS, reading, shows
    from cal_grpo.errors import UsageError

    if show not in SHOWS:
        raise UsageError(f"--show got {show!r}; expected one of {', '.join(SHOWS)}")
    if row is not None and step is None:
        raise UsageError(f"--row got {row} without a step; expected --step too, as rows are counted in a step")
    (opened,) = reading([run])
    rollouts = opened.rollouts
    if not rollouts:
        raise UsageError(f"{run}: {_nothing(opened)}")
    if step is not None and step not in {r.step for r in rollouts}:
        first, last = rollouts[0].step, rollouts[-1].step
        raise UsageError(f"--step got {step}; expected a step with rollouts, {first} to {last}")
    if not (as_json or plain) and sys.stdin.isatty() and sys.stdout.isatty():
        _browse(opened, step, row, show, find)
        return
    here = [r for r in rollouts if step in (None, r.step) and row in (None, r.row) and shows(r, show, find)]
    if not here:
        wanted = f" of step {step}" if step is not None else ""
        raise UsageError(f"no rollout{wanted} fits --row, --show and --find; expected at least one; leave one of them out")
    for rollout in here:
        _print(rollout, as_json)
    for note in opened.notes:
        print(f"! {one_line(note)}", file=sys.stderr)


inspect_command.__doc__ = f"{inspect_command.__doc__}\n{EXAMPLES}"


def _nothing(run: "Run") -> str:
    if run.config.get("sample_share") == 0:
        return "holds no rollouts, as sample_share was 0; train with --set sample_share=1"
    return "holds no rollouts yet; expected lines in samples.jsonl; wait for the first update" + "".join(
        f" ({note})" for note in run.notes[:1]
    )


def _print(rollout: "Rollout", as_json: bool) -> None:
    if as_json:
        record = json.loads(rollout.model_dump_json(exclude_none=True))  # pydantic has no NaN in its JSON, as JSON has none
        typer.echo(json.dumps(record))  # ASCII: nothing that a terminal obeys
        return
    from rich.console import Console

    from cal_grpo.cli.screen import rollout_text

    console = Console()
    console.rule(f"step {rollout.step}, row {rollout.row}", align="left", style="dim")
    console.print(rollout_text(rollout, marked=not console.is_terminal), soft_wrap=True)


def _browse(run: "Run", step: int | None, row: int | None, show: str, find: str) -> None:
    from rich.console import Console

    from cal_grpo.cli.screen import Browser, keys

    rollouts = run.rollouts
    at = next((i for i, r in enumerate(rollouts) if step in (None, r.step) and row in (None, r.row)), 0)
    console = Console()
    browser = Browser(run.name, rollouts, at, show, find)
    browser.message = "; ".join(run.notes)

    with keys() as read, console.screen(hide_cursor=True) as screen:

        def draw() -> None:
            screen.update(browser.screen(console))

        def resized(*_: Any) -> None:
            console.clear()  # lines of another width would stay
            draw()

        previous = signal.signal(signal.SIGWINCH, resized)
        try:
            while not browser.done:
                draw()
                pressed = read()
                for key in pressed:
                    browser.press(key, console.size.height)
                browser.done |= not pressed
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGWINCH, previous)
