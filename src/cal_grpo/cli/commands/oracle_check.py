"""``cal-grpo oracle check``: whether key, endpoint and model work, in a line."""

import json
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from cal_grpo.cli.commands.options import AsJson, BaseUrl, Model, Timeout
from cal_grpo.cli.screen import cost, printable

if TYPE_CHECKING:
    from cal_grpo.oracles import Verdict

_QUESTION = ("Tom has 2 apples and buys 3. How many has he?", "2 + 3 = 5\n#### 5", "Tom has 2 + 3 = 6 apples.\n#### 6")


def check_command(
    oracle: Annotated[str, typer.Option("--oracle", help="openai, gemini, local, reference or arithmetic.")],
    model: Model = None,
    base_url: BaseUrl = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Ask one small question, and say in a line whether key, endpoint and model work. Costs one call."""
    from cal_grpo.oracles import CALOracle, Query
    from cal_grpo.oracles.memory import verdict_record

    with CALOracle(oracle, model=model, base_url=base_url, timeout_s=timeout, attempts=1) as asked:
        verdict = asked.locate([Query(*_QUESTION)])[0]
        name = _described(asked.name, asked.model, asked.endpoint)
    works = not verdict.tag.is_failure
    line = f"{name}: {_judgement(verdict)}"
    typer.echo(
        json.dumps({"works": works, "message": line} | verdict_record(verdict)) if as_json else line,
        err=not works and not as_json,
    )
    if not works:
        raise typer.Exit(1)


def _described(name: str, model: str | None, endpoint: str | None) -> str:
    if endpoint is None:
        return name
    parts = urlsplit(endpoint)
    port = f":{parts.port}" if parts.port else ""
    return f"{name}, model {model}, at {parts.scheme}://{parts.hostname}{port}{parts.path}"  # no user, password or query


def _judgement(verdict: "Verdict") -> str:
    from cal_grpo.oracles import Tag

    found = "finds the error of a small example" if verdict.tag is Tag.FOUND else f"says {verdict.tag} to a small example"
    if not verdict.tag.is_failure:
        return f"works and {found} ({cost(verdict.usage)})"
    meaning = {
        Tag.REJECTED: "reached, but it refuses the request; check key, model name and endpoint",
        Tag.RATE_LIMITED: "reached, but the limit of the key is used up; wait, or ask for more",
        Tag.TIMEOUT: "no answer in time; check the endpoint, or give --timeout more",
        Tag.UNAVAILABLE: "not reached, or it is broken; check the endpoint",
        Tag.MALFORMED: "key and endpoint work, but the answer is not the JSON that was asked for; try another model",
        Tag.REFUSED: "key and endpoint work, but the model refuses to judge; try another model",
    }.get(verdict.tag, str(verdict.tag))
    return f"does not work: {meaning} ({printable(verdict.detail)})"
