"""``cal-grpo oracle ask``: one verdict, as a person wants to see it."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cal_grpo.cli.commands.judge_options import Judge, takes_judge
from cal_grpo.cli.commands.options import AsJson, OracleName, Timeout
from cal_grpo.cli.screen import cost, printable

if TYPE_CHECKING:
    from rich.text import Text

    from cal_grpo.oracles import Query, Verdict

EXAMPLE = """
[bold]Example[/bold]

  cal-grpo oracle ask --question 'What is 2+3*4?' --reference '3*4=12, 2+12=14' --response '2+3=5, 5*4=20'

The exit status is 1 where the oracle could not be asked.
"""


@takes_judge
def ask_command(
    question: Annotated[str, typer.Option(help="The question.")],
    reference: Annotated[str, typer.Option(help="Its reference solution.")],
    response: Annotated[str, typer.Option(help="The wrong response to be judged.")],
    *,
    oracle: OracleName = "reference",
    judge: Judge,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Show one verdict, with the span that would be blamed. Nothing is read from the cache."""
    from rich.console import Console

    from cal_grpo.oracles import CALOracle, Query

    query = Query(question, reference, response)
    with CALOracle(oracle, **judge.settings(), timeout_s=timeout) as asked:
        verdict = asked.locate([query])[0]
    span = _span(query, verdict)
    if as_json:
        typer.echo(json.dumps(_record(verdict, span), indent=2))
    else:
        console = Console()
        console.print(_shown(query, verdict, span, asked.name, marked=not console.is_terminal), soft_wrap=True)
    if verdict.tag.is_failure:
        raise typer.Exit(1)


ask_command.__doc__ = f"{ask_command.__doc__}\n{EXAMPLE}"


def _span(query: "Query", verdict: "Verdict") -> tuple[int, int] | None:
    """Characters of the response that the quote stands for, found as training finds them."""
    from cal_grpo.alignment import Miss, find_quote

    found = find_quote(query.response, verdict.segment, verdict.hint)
    return None if isinstance(found, Miss) else found


def _record(verdict: "Verdict", span: tuple[int, int] | None) -> dict[str, Any]:
    from cal_grpo.oracles.memory import verdict_record

    return verdict_record(verdict) | {"span": span}


def _shown(query: "Query", verdict: "Verdict", span: tuple[int, int] | None, name: str, marked: bool) -> "Text":
    """``marked`` sets the span between brackets, for where there are no colours."""
    from rich.text import Text

    style = "red" if verdict.tag.is_failure else "yellow" if verdict.detail else "green"
    text = Text.assemble((f"{verdict.tag}", f"bold {style}"), f"  {name}, {cost(verdict.usage)}\n")
    if verdict.detail:
        text.append(f"{printable(verdict.detail)}\n", style=style)
    if verdict.critique:
        text.append(f"{printable(verdict.critique)}\n", style="italic")
    response = Text(printable(query.response))
    if span is not None:
        response.stylize("bold reverse red", *span)
        if marked:
            response = Text(f"{response.plain[: span[0]]}⟦{response.plain[slice(*span)]}⟧{response.plain[span[1] :]}")
    text.append_text(response)
    if verdict.segment and span is None:
        text.append(f"\nthe quote is not in the response: {printable(verdict.segment)!r}", style="yellow")
    if verdict.correction:
        text.append("\ncorrection, from the step of the quote on\n", style="dim")
        text.append(printable(verdict.correction))
    return text
