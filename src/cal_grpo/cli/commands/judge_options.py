"""How an LLM judge is asked: the same options in ``train`` and in ``oracle ask``, ``check`` and ``bench``."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cal_grpo.cli.commands.arguments import expanded


@dataclass(frozen=True)
class Judge:
    """What was said on the command line; None where nothing was, so that a config or the oracle itself decides."""

    judge_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The judge: a model's name for openai and gemini, a folder for local.")
    ] = None
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="The judge's server.", show_default="the provider's")] = (
        None
    )
    few_shot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON file of examples for the judge.", callback=expanded)
    ] = None
    style: Annotated[
        Literal["direct", "repair", "steps"] | None,
        typer.Option(
            help="The judge quotes the error, repairs the response and compares, or names the step's number.",
            show_default="direct",
        ),
    ] = None
    corrections: Annotated[
        bool | None, typer.Option("--corrections", help="The judge says what should have stood there, too.")
    ] = None
    max_answer_tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The judge's answer is cut off there, thinking included.")
    ] = None

    def settings(self) -> dict[str, Any]:
        """For a ``CALOracle``: what was given."""
        named: dict[str, Any] = {"model": self.judge_model, "base_url": self.base_url, "few_shot": self.few_shot}
        named |= {"style": self.style, "corrections": self.corrections, "max_answer_tokens": self.max_answer_tokens}
        return _given(named)

    def keys(self) -> dict[str, Any]:
        """For a config: the keys of what was given."""
        homes = {"model": "cal_model", "base_url": "cal_base_url"}
        return {homes.get(name, f"oracle.{name}"): value for name, value in self.settings().items()}


def takes_judge(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command with a parameter ``judge`` the options above in its place, but for those that it has of its own."""
    named = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.signature(command, eval_str=True)
    shared = [field for field in fields(Judge) if field.name not in signature.parameters]
    ours = [inspect.Parameter(field.name, named, default=None, annotation=field.type) for field in shared]
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += ours if parameter.name == "judge" else [parameter.replace(kind=named)]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        judge = Judge(**{field.name: given.pop(field.name) for field in shared})
        command(judge=judge, **given)

    # Typer reads the signature
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return wrapped


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
