"""Options that several commands take."""

from typing import Annotated

import typer

OracleName = Annotated[
    str, typer.Option("--oracle", help="reference, arithmetic, openai, gemini, local, or several: 'reference@0.6 > openai'.")
]
Model = Annotated[str | None, typer.Option(help="Model name for openai and gemini; folder for local.")]
BaseUrl = Annotated[str | None, typer.Option(help="Server for openai or gemini.", show_default="the provider's")]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
