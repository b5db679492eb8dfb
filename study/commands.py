"""``python -m study``: which credit teaches fastest?"""

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from study.stored import Result

app = typer.Typer(
    help="Measure credit formulas: the gradient of a batch, and how fast a policy learns. docs/study.md has the protocol.",
    no_args_is_help=True,
)

_FOLDER = typer.Option("--output", help="Folder of the CSV files; a trial that any of them holds is not repeated.")


@app.command("train")
def train_command(
    plan: Annotated[Path, typer.Argument(help="YAML file with the trials; study/plans/ has ours.")],
    output: Annotated[Path, _FOLDER] = Path("study/results"),
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time, each on one thread if more than one.")] = 1,
    minutes: Annotated[float, typer.Option(help="Begin no other trial after so many minutes.")] = float("inf"),
) -> None:
    """Run the trainings of a plan on the small engine. Stop it and start it again as you like: finished trials are kept."""
    from rich.console import Console

    from study.many import train_many, train_one
    from study.plan import load_plan
    from study.stored import Results

    console = Console(stderr=True, highlight=False)
    loaded, results = load_plan(plan), Results(output, plan.stem)
    waiting = [trial for trial in loaded.trials if trial not in results.done]
    console.print(f"{len(loaded.trials)} trials, {len(loaded.trials) - len(waiting)} done; results go to {results.file}")
    began = time.monotonic()
    for number, (trial, rows) in enumerate(train_many(functools.partial(train_one, loaded), waiting, jobs, minutes), 1):
        results.append(trial, rows)
        left = (time.monotonic() - began) / number * (len(waiting) - number)
        final = rows[-1]["held_out"].mean()
        console.print(f"{number} of {len(waiting)}: {trial}: {final:.3f}; {left / 60:.0f} min left")


@app.command("second")
def second_command(
    plan: Annotated[Path, typer.Argument(help="YAML file with the trials; study/second/plans/ has ours.")],
    output: Annotated[Path, typer.Option("--output", help="Folder of the results.")] = Path("study/second/results"),
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time, each on one thread if more than one.")] = 1,
    minutes: Annotated[float, typer.Option(help="Begin no other trial after so many minutes.")] = float("inf"),
) -> None:
    """Run the trainings of a plan of the second part: layouts, corrections and worlds. Stop and start it as you like."""
    from study.many import train_many
    from study.second.plan import load_plan, train_one
    from study.second.stored import Results

    loaded, results = load_plan(plan), Results(output, plan.stem)
    waiting = [trial for trial in loaded.trials if trial not in results.done]
    typer.echo(f"{len(loaded.trials)} trials, {len(loaded.trials) - len(waiting)} done; results go to {results.file}", err=True)
    began = time.monotonic()
    for number, (trial, rows) in enumerate(train_many(functools.partial(train_one, loaded), waiting, jobs, minutes), 1):
        results.append(trial, rows)
        left = (time.monotonic() - began) / number * (len(waiting) - number)
        typer.echo(
            f"{number} of {len(waiting)}: {trial}: {rows[-1]['held_out'].mean():.3f}; {left / 60:.0f} min left", err=True
        )


@app.command("second-tables")
def second_tables_command(
    results: Annotated[Path, typer.Argument(help="Folder of the results.")] = Path("study/second/results"),
    figures: Annotated[Path | None, typer.Option(help="Folder to draw accuracy over sampled tokens into.")] = None,
) -> None:
    """Print every table of the second part, in Markdown, and draw its figures."""
    from cal_grpo.files import write_whole
    from study.second import report

    stages = report.stages_of(results)
    typer.echo(report.report(stages))
    if figures:
        for name, svg in report.figures(stages).items():
            write_whole(figures / f"{name}.svg", svg)


@app.command("gradient")
def gradient_command(
    steps: Annotated[int, typer.Option(min=1, help="Changes in a story, the length of the chain.")] = 8,
    policy: Annotated[str, typer.Option(help="Hugging Face folder.")] = "embedded",
    credit: Annotated[list[str] | None, typer.Option(help="Formula; repeatable.", show_default="all")] = None,
    batches: Annotated[int, typer.Option(min=2, help="Batches of 8 questions with 8 answers.")] = 40,
    estimates: Annotated[int, typer.Option(min=2, help="Independent estimates of the expected reward's gradient.")] = 8,
    per_estimate: Annotated[int, typer.Option(min=1, help="Batches an estimate.")] = 5,
    seed: Annotated[int, typer.Option(help="Of questions and noise.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="CSV file; replaced.", show_default="study/results/gradient/STEPS.csv")
    ] = None,
) -> None:
    """Measure how good one batch's gradient is under each formula, at a fixed policy and on the same answers."""
    from rich.console import Console

    from cal_grpo.errors import UsageError
    from study.differences import gradients
    from study.formulas import NAMES, formula_of
    from study.gradient import measure, save
    from study.tables import gradient_table
    from study.world import World

    console = Console(stderr=True, highlight=False)
    file = output or Path(f"study/results/gradient/{steps}.csv")
    names = list(dict.fromkeys(["grpo", *(credit or NAMES)]))
    for name in names:
        formula_of(name)
    world = World(policy, steps, group_size=8, held_out=0)
    console.print(f"{estimates * per_estimate} batches for the expected reward, then {batches} for {len(names)} formulas")
    began = time.monotonic()
    for batch, measured, gram in measure(world, names, batches, estimates, per_estimate, batch_size=8, seed=seed):
        if not gram.diagonal().all():
            raise UsageError(
                f"{per_estimate} batches had no group with right and wrong answers: the reward has no gradient to measure "
                "against; expected a policy that is right now and then, or more batches an estimate"
            )
        if batch + 1 >= 2:
            save(file, measured, gram)
        left = (time.monotonic() - began) / (batch + 1) * (batches - batch - 1)
        console.print(f"batch {batch + 1} of {batches}; about {left / 60:.0f} min left")
    typer.echo(gradient_table(gradients(measured, gram)))
    console.print(f"numbers are in {file}")


@app.command("tables")
def tables_command(
    results: Annotated[Path, typer.Argument(help="Folder of the CSV files.")] = Path("study/results"),
) -> None:
    """Print every table that the results give, in Markdown."""
    from study import tables
    from study.differences import gradients
    from study.gradient import load

    found = tables.arms(_finished(results))
    typer.echo(f"## Learning rates\n\n{tables.rates_table(found)}")
    for policy, steps in tables.starts(found):
        of = tables.compared(found, (policy, steps))
        if tables.BASE in of:
            typer.echo(f"\n## {steps} steps, from `{policy}`\n\n{tables.accuracy_table(of, of[tables.BASE])}")
            typer.echo(f"\n{tables.behaviour_table(of)}\n\n{tables.compute_table(of, of[tables.BASE])}")
        if (policy, steps) == tables.MAIN and tables.BASE in of:
            typer.echo(f"\n{tables.untouched_seeds_table(of, of[tables.BASE])}")
        if others := tables.other_rates_table(found, (policy, steps)):
            typer.echo(f"\n{others}")
    main = tables.compared(found, tables.MAIN)
    if tables.BASE in main:
        typer.echo(f"\n## A judge that is wrong\n\n{tables.misjudged_table(found, main[tables.BASE])}")
    if any(tables.varied(key) for key in found):
        typer.echo(f"\n## Other settings\n\n{tables.variants_table(found)}")
    for file in sorted((results / "gradient").glob("*.csv"), key=lambda file: (len(file.stem), file.stem)):
        typer.echo(f"\n## Gradients, {file.stem}\n\n{tables.gradient_table(gradients(*load(file)))}")


@app.command("figures")
def figures_command(
    results: Annotated[Path, typer.Argument(help="Folder of the CSV files.")] = Path("study/results"),
    output: Annotated[Path, typer.Option(help="Folder of the SVG files.")] = Path("docs/figures"),
) -> None:
    """Draw accuracy over updates for every start, and the gain over GRPO against the length."""
    from cal_grpo.errors import UsageError
    from cal_grpo.files import write_whole
    from study import tables
    from study.figures import figures

    drawings = figures(tables.arms(_finished(results)))
    if not drawings:
        raise UsageError(f"{results}: nothing to draw; expected {tables.BASE} on every seed of plan 1, finished")
    output.mkdir(parents=True, exist_ok=True)
    for name, svg in drawings.items():
        write_whole(output / f"{name}.svg", svg)
        typer.echo(output / f"{name}.svg")


def _finished(folder: Path) -> "Iterable[Result]":
    from cal_grpo.errors import UsageError
    from study.stored import Results

    done = Results(folder, "").done
    if not done:
        raise UsageError(f"{folder}: no finished trial; expected the CSV files that python -m study train wrote there")
    return done.values()
