"""Options that several commands take."""

from pathlib import Path
from typing import Annotated, Literal

import typer

OracleName = Annotated[
    str, typer.Option("--oracle", help="reference, arithmetic, openai, gemini, local, or several: 'reference@0.6 > openai'.")
]
Model = Annotated[str | None, typer.Option(help="Model name for openai and gemini; folder for local.")]
BaseUrl = Annotated[str | None, typer.Option(help="Server for openai or gemini.", show_default="the provider's")]
FewShot = Annotated[Path | None, typer.Option(help="JSON file of examples for an LLM.")]
Style = Annotated[
    Literal["direct", "repair", "steps"],
    typer.Option(help="LLM: quote the error, repair the response and compare, or name the step's number."),
]
Corrections = Annotated[bool, typer.Option("--corrections", help="LLM: ask for what should have stood there, too.")]
MaxAnswerTokens = Annotated[int | None, typer.Option(min=1, help="An LLM's answer is cut off there, thinking included.")]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
