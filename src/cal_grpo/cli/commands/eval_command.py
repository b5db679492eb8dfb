"""``cal-grpo eval``."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cal_grpo.cli import BEGAN
from cal_grpo.cli.commands.arguments import expanded
from cal_grpo.cli.commands.options import Config, Data, Engine, Model, Set, Task
from cal_grpo.cli.screen import quiet_third_parties
from cal_grpo.errors import one_line
from cal_grpo.processes import leads

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLES = """
[bold]The figures[/bold]

  greedy        the most likely answer is right

  pass@k        at least one of k sampled answers is right

  majority@k    the most frequent of k sampled answers is right

Each is a share of the held-out questions, with its 95 % interval.

Same seed, batch size and machine: same figures. Every answer is kept as JSONL.

[bold]Examples[/bold]

  cal-grpo eval                   the embedded policy on ledger, greedy

  cal-grpo eval --samples 8       also pass@1, 2, 4, 8 and majority@8

  cal-grpo eval --config RUN/config.yaml --model RUN/policy

  cal-grpo eval --model DIR --task math --set eval.batch_size=16

  cal-grpo eval --model DIR --task gsm8k --data test.jsonl --all --samples 4

The keys of --set and --config are those of cal-grpo train --keys.
"""


def eval_command(
    model: Model = None,
    task: Task = None,
    data: Data = None,
    samples: Annotated[
        int | None,
        typer.Option(metavar="K", help="Sampled answers a question, for pass@k and majority@k.", show_default="none"),
    ] = None,
    questions: Annotated[
        int | None, typer.Option(metavar="N", help="Held-out questions to ask at most.", show_default="256")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the samples.", show_default="1.0")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Ask all of --data, not its held-out eighth: for a file never trained on.")
    ] = False,
    engine: Engine = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of results.", show_default="a fresh one under evals/", callback=expanded)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the samples.", show_default="0")] = None,
    config: Config = None,
    set_: Set = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the evaluation that the folder holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print evaluation.json instead of the live panel.")] = False,
) -> None:
    """Answer held-out questions: greedy accuracy, pass@k and majority@k with intervals, and every answer as JSONL."""
    from cal_grpo.config import load_config, parse_override

    overrides: dict[str, Any] = dict(parse_override(text) for text in set_ or [])
    named: dict[str, Any] = {"model_id": model, "task": task, "data": data, "seed": seed, "engine": engine}
    named |= {"max_eval_samples": questions, "rollout.temperature": temperature}
    overrides |= {key: value for key, value in named.items() if value is not None}
    resolved = load_config(config, overrides)
    quiet_third_parties()

    from rich.text import Text

    from cal_grpo.cli.screen import Notes, Panel
    from cal_grpo.runs import evaluate

    headline = Text.assemble(("CAL-GRPO ", "bold"), f"evaluating {resolved.model_id} on {resolved.task}, seed {resolved.seed}")
    with contextlib.nullcontext(Notes()) if as_json or not leads() else Panel(resolved, headline=headline) as panel:
        record = evaluate(resolved, samples, output, overwrite=overwrite, every=every, watcher=panel, began=BEGAN)
    if as_json:
        typer.echo(json.dumps(record, indent=2))
    else:
        print_evaluation(record)
    if record["interrupted"]:
        raise typer.Exit(130)


eval_command.__doc__ = f"{eval_command.__doc__}\n{EXAMPLES}"


def print_evaluation(record: dict[str, Any], console: "Console | None" = None) -> None:
    """The figures with their intervals, what they were taken with, and where the answers lie."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    samples = record["samples"]
    figures = {"greedy": record["greedy"]} | {f"pass@{k}": estimate for k, estimate in record["pass"].items()}
    if record["majority"]:
        figures[f"majority@{samples}"] = record["majority"]
    table = Table.grid(padding=(0, 2))
    for name, estimate in figures.items():
        if estimate is not None:
            value, low, high = (f"{estimate[part]:.1%}" for part in ("value", "low", "high"))
            table.add_row(name, f"[bold]{value:>6}[/bold]", f"95 % interval {low} to {high}")
    console.print(table)
    kind = (
        f"greedy and {samples} sampled at temperature {record['temperature']:g}"
        if samples
        else "greedy; --samples 8 adds pass@k"
    )
    cut = ", interrupted" if record["interrupted"] else ""
    if record.get("cut_share"):
        console.print(
            f"[yellow]{record['cut_share']:.1%} of the answers were cut off[/yellow] after {record['max_new_tokens']} tokens; "
            "raise rollout.max_new_tokens",
            soft_wrap=True, highlight=False,
        )  # fmt: skip
    console.print(f"{record['questions']} questions{cut}, {kind}, seed {record['seed']}", soft_wrap=True, highlight=False)
    console.print(f"{record['wall_s']:.0f} s, of which {record['compile_s']:.0f} s compiling", highlight=False)
    console.print(f"answers and figures in {one_line(record['output'])}", soft_wrap=True, highlight=False, markup=False)
