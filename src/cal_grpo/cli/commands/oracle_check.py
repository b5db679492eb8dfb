"""``cal-grpo oracle check``: whether key, endpoint and model work, in a line."""

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from cal_grpo.cli.commands.judge_options import Judge, takes_judge
from cal_grpo.cli.commands.options import AsJson, OracleName, Timeout
from cal_grpo.cli.screen import cost, printable

if TYPE_CHECKING:
    from cal_grpo.oracles import Verdict

# As long as many an answer of a training: a server whose context is too small for those is to be found out by this one.
_QUESTION = (
    "Tom has 2 apples and buys 3. He gives half of what he then has, and half an apple more, to each of his friends in turn, "
    "until nothing is left. How many friends got some?",
    "Tom has 2 + 3 = 5 apples.\nThe first friend gets 5 / 2 + 0.5 = 3, so 5 - 3 = 2 are left.\nThe second gets 2 / 2 + 0.5 = "
    "1.5, so 2 - 1.5 = 0.5 are left.\nThe third gets 0.5 / 2 + 0.5 = 0.75, which is more than the 0.5 that are left, so he "
    "gets those.\nSo 3 friends got some.\n#### 3",
    "Let's work this out step by step.\nFirst, we count the apples that Tom has before he gives any of them away.\n"
    "Tom has 2 + 3 = 6 apples.\nNow the first of his friends gets half of them and half an apple more, which is 6 / 2 + 0.5 = "
    "3.5 apples, so that 6 - 3.5 = 2.5 apples are left for the others.\nThe second friend gets 2.5 / 2 + 0.5 = 1.75 apples, so "
    "that 2.5 - 1.75 = 0.75 apples are left.\nThe third friend gets 0.75 / 2 + 0.5 = 0.875 apples, which is more than there "
    "is, so he gets all of the 0.75 apples.\nBut the fourth friend would get half an apple in any case, so he must be counted "
    "too: that makes 3 + 1 = 4 friends.\nTherefore the answer is 4.\n#### 4",
)


@takes_judge
def check_command(
    oracle: OracleName,
    judge: Judge,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Ask one question as a training would, and say in a line whether key, endpoint and model work. Costs a call or two.

    With the few-shot examples, style and length of answers that the training will have, it is the same prompt.
    """
    from cal_grpo.oracles import CALOracle, Query
    from cal_grpo.oracles.memory import verdict_record

    with CALOracle(oracle, **judge.settings(), timeout_s=timeout, attempts=1) as asked:
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
    place = f"{parts.scheme}://{parts.hostname}{port}{parts.path}"  # no user, password or query
    return printable(f"{name}, model {model}, at {place}")


def _judgement(verdict: "Verdict") -> str:
    from cal_grpo.oracles import Tag

    found = f"says {verdict.tag} to a small example"
    if verdict.tag is Tag.FOUND:
        found = "quotes something of a small example" if verdict.detail else "finds the error of a small example"
    if not verdict.tag.is_failure:
        doubt = f", but {printable(verdict.detail)}" if verdict.detail else ""
        return f"works and {found}{doubt} ({cost(verdict.usage)})"
    meaning = {
        Tag.REJECTED: "reached, but it refuses the request; check key, model name and endpoint, and the server's context",
        Tag.RATE_LIMITED: "reached, but the limit of the key is used up; wait, or ask for more",
        Tag.TIMEOUT: "no answer in time; check the endpoint, or give --timeout more",
        Tag.UNAVAILABLE: "not reached, or it is broken; check the endpoint",
        Tag.MALFORMED: "key and endpoint work, but the answer is not the JSON that was asked for; try another model",
        Tag.REFUSED: "key and endpoint work, but the model refuses to judge; try another model",
    }.get(verdict.tag, str(verdict.tag))
    return f"does not work: {meaning} ({printable(verdict.detail)})"
