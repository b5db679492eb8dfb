"""``cal-grpo train``."""

import contextlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cal_grpo.cli import BEGAN
from cal_grpo.cli.commands.arguments import expanded
from cal_grpo.cli.commands.dry_run import dry_run
from cal_grpo.cli.commands.judge_options import Judge, takes_judge
from cal_grpo.cli.commands.options import Config, Data, Engine, Model, Preset, Set, Task, oracles
from cal_grpo.cli.screen import quiet_third_parties
from cal_grpo.errors import UsageError
from cal_grpo.processes import leads

EXAMPLES = """
Without options: a small policy, a made-up task and a free oracle; minutes on two CPU cores, without a network or a key.

[bold]Examples[/bold]

  cal-grpo train

  cal-grpo train --set credit=grpo --seed 1     plain group credit

  cal-grpo train --preset demo                  12 steps, and corrections; demo-grpo beside it

  cal-grpo train --model ./SmolLM2 --task gsm8k --data train.jsonl   settings by its size, any key wins

  cal-grpo train --model ./SmolLM2 --task gsm8k --set lora.rank=null --set learning_rate=1e-6

  cal-grpo train --oracle gemini --set oracle.max_usd=5

  cal-grpo train --oracle openai --judge-model NAME --output runs/first

  cal-grpo train --oracle openai --replay runs/first/judge.jsonl

  cal-grpo train --resume runs/first            go on where it was stopped

  cal-grpo train --resume runs/first --set num_train_steps=200

  cal-grpo train --oracle gemini --dry-run      the config, and what verdicts may cost

  cal-grpo train --keys                         what can be --set
"""


@takes_judge
def train_command(
    *,
    model: Model = None,
    task: Task = None,
    data: Data = None,
    oracle: Annotated[
        str | None,
        typer.Option(
            help="reference, arithmetic, openai, gemini, local, or several in one line.",
            show_default="reference",
            autocompletion=oracles,
        ),
    ] = None,
    judge: Judge,
    engine: Engine = None,
    output: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="a fresh one under runs/", callback=expanded)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same machine: same numbers.", show_default="0")] = None,
    preset: Preset = None,
    config: Config = None,
    replay: Annotated[
        Path | None, typer.Option(help="Answer from a run's judge.jsonl; ask nothing.", callback=expanded)
    ] = None,
    set_: Set = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run that was stopped, as if it had not been.", callback=expanded),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that the output folder holds.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved config and what a judge may cost; write nothing.")
    ] = False,
    keys: Annotated[bool, typer.Option("--keys", help="List every config key and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of the live panel.")] = False,
) -> None:
    """Train a policy and write a run folder."""
    from cal_grpo.config import parse_override
    from cal_grpo.runs import chosen_config, is_finished, read_summary, resumed_config

    if keys:
        _print_keys()
        return
    overrides: dict[str, Any] = dict(parse_override(text) for text in set_ or [])
    named = {"model_id": model, "task": task, "data": data, "cal_provider": oracle, "output_dir": output, "seed": seed}
    named |= {"engine": engine, "oracle.replay": replay, "overwrite": overwrite or None} | judge.keys()
    overrides |= {key: value for key, value in named.items() if value is not None}
    said: str | None = None
    if resume is not None:
        if config is not None:
            raise UsageError(f"--resume goes on with {resume / 'config.yaml'}; got --config {config} too: leave it out")
        if preset is not None:
            raise UsageError(f"--resume goes on with {resume / 'config.yaml'}; got --preset {preset} too: leave it out")
        resolved = resumed_config(resume, overrides)
        if is_finished(resolved):
            updates = f"{resolved.num_train_steps} updates"
            typer.echo(f"{resume} is finished ({updates}); --set num_train_steps=N goes further", err=True)
            if as_json:
                typer.echo(json.dumps(read_summary(resume) | {"output": str(resume)}, indent=2))
            return
    else:
        resolved, said = chosen_config(config, overrides, preset)
    quiet_third_parties()
    if dry:
        dry_run(resolved, resume is not None, as_json, said)
        return
    if said and leads():
        typer.echo(said, err=True)

    from cal_grpo.cli.screen import Notes, Panel, print_summary
    from cal_grpo.runs import train

    with contextlib.nullcontext(Notes()) if as_json or not leads() else Panel(resolved) as panel:
        trained = train(resolved, watcher=panel, began=BEGAN, resume=resume is not None)
    if as_json:
        typer.echo(json.dumps({**trained.summary, "output": str(trained.run)}, indent=2))
    else:
        print_summary(trained)
    if trained.summary["interrupted"]:
        raise typer.Exit(130)


train_command.__doc__ = f"{train_command.__doc__}\n{EXAMPLES}"


def _print_keys() -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cal_grpo.config import described_keys

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("key", "default", "what it does"):
        table.add_column(column)
    for row in described_keys():
        table.add_row(*map(escape, row))
    Console().print(table)
