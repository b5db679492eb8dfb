"""``cal-grpo study``: which credit teaches fastest?"""

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Measure credit formulas: the gradient of a batch, and how fast a policy learns. docs/study.md has the protocol.",
    no_args_is_help=True,
)


@app.command("train")
def train_command(
    plan: Annotated[Path, typer.Argument(help="YAML file with the trials.")],
    output: Annotated[Path, typer.Option(help="CSV file of results; finished trials in it are not repeated.")],
    limit: Annotated[int | None, typer.Option(help="Run at most so many trials.")] = None,
) -> None:
    """Run the trainings of a plan on the small engine, one after another. Stop and start it as you like."""
    from rich.console import Console

    from cal_grpo.study.plan import load_plan
    from cal_grpo.study.results import Results

    console = Console(stderr=True)
    loaded, results = load_plan(plan), Results(output)
    waiting = [trial for trial in loaded.trials if trial.key not in results.done]
    console.print(f"{len(loaded.trials)} trials, {len(loaded.trials) - len(waiting)} done")

    from cal_grpo.study.train import run
    from cal_grpo.study.world import World

    worlds: dict[int, World] = {}
    began = time.monotonic()
    for number, trial in enumerate(waiting[:limit], 1):
        if trial.steps not in worlds:
            worlds = {trial.steps: World(loaded.policies[trial.steps], trial.steps, loaded.group_size, loaded.held_out)}
        rows = []
        for row in run(worlds[trial.steps], trial):
            rows.append(row)
            if "held_out" in row:
                right = row["held_out"].count("1") / len(row["held_out"])
                console.print(f"  {trial.key}  update {row['update']}/{trial.updates}  held-out {right:.3f}", highlight=False)
        results.append(trial, rows)
        left = (time.monotonic() - began) / number * (min(len(waiting), limit or len(waiting)) - number)
        console.print(f"{number}/{len(waiting[:limit])} done, {left / 60:.0f} min left", highlight=False)
