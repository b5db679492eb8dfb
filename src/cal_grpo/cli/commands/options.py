"""Options that several commands take, each said once."""

from pathlib import Path
from typing import Annotated

import typer

from cal_grpo.cli.commands.arguments import expanded


def _tasks() -> list[str]:
    from cal_grpo.tasks import TASKS

    return list(TASKS)


def _engines() -> list[str]:
    from cal_grpo.engines import ENGINES

    return list(ENGINES)


def oracles() -> list[str]:
    from cal_grpo.oracles import PROVIDERS

    return list(PROVIDERS)


def _presets() -> list[str]:
    from cal_grpo.config import NO_PRESET, presets

    return [*presets(), NO_PRESET]


def _keys() -> list[str]:
    from cal_grpo.config import known_keys

    return [f"{key}=" for key in known_keys()]


Model = Annotated[str | None, typer.Option(help="Hugging Face folder or hub id.", show_default="embedded")]
Task = Annotated[
    str | None,
    typer.Option(
        help="ledger, gsm_symbolic, gsm8k, math, jsonl, or module:name.",
        show_default="ledger",
        autocompletion=_tasks,
    ),
]
Data = Annotated[Path | None, typer.Option(help="JSONL, JSON or Parquet file, or owner/name of the hub.", callback=expanded)]
Engine = Annotated[
    str | None, typer.Option(help="Library of the policy, tunix or trl.", show_default="tunix", autocompletion=_engines)
]
Config = Annotated[
    Path | None, typer.Option(help="YAML file of the keys that train --keys lists, such as a run's.", callback=expanded)
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="Settings that come with the package; any other option wins: demo, demo-grpo, language-model, none.",
        show_default="by the model's size",
        autocompletion=_presets,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any of these keys; repeatable.", autocompletion=_keys),
]
OracleName = Annotated[
    str,
    typer.Option(
        "--oracle",
        help="reference, arithmetic, openai, gemini, local, or several: 'reference@0.6 > openai'.",
        autocompletion=oracles,
    ),
]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
