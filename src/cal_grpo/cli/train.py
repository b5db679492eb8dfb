"""``cal-grpo train``."""

import contextlib
import json
import logging
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from cal_grpo.cli import BEGAN

EXAMPLES = """
[bold]Examples[/bold]

  cal-grpo train                                       the embedded policy on ledger, offline, no key

  cal-grpo train --set credit=grpo --seed 1            plain group credit on the same task

  cal-grpo train --model ./SmolLM2 --task gsm8k --data train.jsonl

  cal-grpo train --oracle openai --set cal_model=NAME --set oracle.max_usd=5 --set oracle.on_budget=stop

  cal-grpo train --oracle openai --replay runs/first/judge.jsonl    the same training again, without a call

  cal-grpo train --keys                                every config key, its default and what it does
"""


def train_command(
    model: Annotated[str | None, typer.Option(help="Hugging Face folder or hub id.", show_default="embedded")] = None,
    task: Annotated[str | None, typer.Option(help="ledger, gsm_symbolic, gsm8k or jsonl.", show_default="ledger")] = None,
    data: Annotated[Path | None, typer.Option(help="JSONL file with question and answer, instead of the hub.")] = None,
    oracle: Annotated[
        str | None, typer.Option(help="reference, arithmetic, openai or gemini.", show_default="reference")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Run folder.", show_default="a fresh one under runs/")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same machine: same numbers.", show_default="0")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with any of the keys that --keys lists.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Answer from a run's judge.jsonl; ask nothing.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set any key; repeatable.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that the output folder holds.")] = False,
    keys: Annotated[bool, typer.Option("--keys", help="List every config key and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of the live panel.")] = False,
) -> None:
    """Train a policy and write a run folder."""
    from cal_grpo.config import load_config, parse_override

    if keys:
        _print_keys()
        return
    overrides: dict[str, Any] = dict(parse_override(text) for text in set_ or [])
    named = {"model_id": model, "task": task, "data": data, "cal_provider": oracle, "output_dir": output, "seed": seed}
    named["oracle.replay"] = replay
    overrides |= {key: value for key, value in named.items() if value is not None}
    if overwrite:
        overrides["overwrite"] = True
    resolved = load_config(config, overrides)
    _quiet_third_parties()

    from cal_grpo.cli.panel import Panel, print_summary
    from cal_grpo.train import train

    with contextlib.nullcontext() if as_json else Panel(resolved) as panel:
        summary = train(resolved, panel, began=BEGAN)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        print_summary(summary)
    if summary["interrupted"]:
        raise typer.Exit(130)


train_command.__doc__ = f"{train_command.__doc__}\n{EXAMPLES}"


def _quiet_third_parties() -> None:
    """Their progress and deprecation notes would tear the panel."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("jax").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(tunix|flax|orbax|jax|transformers|qwix|google)\b")


def _print_keys() -> None:
    from rich.console import Console
    from rich.table import Table

    from cal_grpo.config import TrainConfig, known_keys

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("key", "default", "what it does"):
        table.add_column(column)
    defaults = TrainConfig().model_dump(mode="json")
    for key in known_keys():
        section, _, inner = key.partition(".")
        field = TrainConfig.model_fields[section]
        if inner:
            field = field.annotation.model_fields[inner]  # type: ignore[union-attr]
        default = defaults[section][inner] if inner else defaults[section]
        table.add_row(key, "-" if default is None else str(default), field.description or "")
    Console().print(table)
