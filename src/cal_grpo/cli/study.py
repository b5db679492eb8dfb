"""``cal-grpo study``: which credit teaches fastest?"""

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Measure credit formulas: the gradient of a batch, and how fast a policy learns. docs/study.md has the protocol.",
    no_args_is_help=True,
)

_FOLDER = typer.Option("--output", help="Folder of the CSV files; a trial that any of them holds is not repeated.")


@app.command("train")
def train_command(
    plan: Annotated[Path, typer.Argument(help="YAML file with the trials; studies/ has ours.")],
    output: Annotated[Path, _FOLDER] = Path("studies/results"),
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time, each on one thread if more than one.")] = 1,
    minutes: Annotated[float, typer.Option(help="Begin no other trial after so many minutes.")] = float("inf"),
) -> None:
    """Run the trainings of a plan on the small engine. Stop it and start it again as you like: finished trials are kept."""
    from rich.console import Console

    from cal_grpo.study.many import train_many
    from cal_grpo.study.plan import load_plan
    from cal_grpo.study.results import Results

    console = Console(stderr=True, highlight=False)
    loaded, results = load_plan(plan), Results(output, plan.stem)
    waiting = [trial for trial in loaded.trials if trial not in results.done]
    console.print(f"{len(loaded.trials)} trials, {len(loaded.trials) - len(waiting)} done; results go to {results.file}")
    began = time.monotonic()
    for number, (trial, rows) in enumerate(train_many(loaded, waiting, jobs, minutes, console.print), 1):
        results.append(trial, rows)
        left = (time.monotonic() - began) / number * (len(waiting) - number)
        final = rows[-1]["held_out"].mean()
        console.print(f"{number} of {len(waiting)}: {trial}: {final:.3f}; {left / 60:.0f} min left")
