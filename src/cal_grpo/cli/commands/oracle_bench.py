"""``cal-grpo oracle bench``: how good an oracle is, on solutions whose first error people have marked."""

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cal_grpo.cli.commands.arguments import expanded
from cal_grpo.cli.commands.judge_options import Judge, takes_judge
from cal_grpo.cli.commands.options import AsJson, OracleName, Timeout
from cal_grpo.cli.screen import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from cal_grpo.oracles import CALOracle
    from cal_grpo.oracles.bench import BenchResult, Labelled

EXAMPLES = """
[bold]Examples[/bold]

  cal-grpo oracle bench --data rows.jsonl

  cal-grpo oracle bench --data rows.jsonl --show 20        with misses

  cal-grpo oracle bench --data rows.jsonl --oracle openai --judge-model NAME

  cal-grpo oracle bench --data rows.jsonl --oracle 'reference@0.6 > openai:NAME'

[bold]Data[/bold]: one JSON object a line with question, reference_solution, response, step_spans (characters [start, end) of \
each step of the response), first_error_step (0-based) and, where a solution has several labels, solution_key.
"""


@takes_judge
def bench_command(
    data: Annotated[Path, typer.Option(help="JSONL file of labelled wrong solutions.", callback=expanded)],
    *,
    oracle: OracleName = "reference",
    judge: Judge,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most, from the start.")] = None,
    half: Annotated[Literal["even", "odd"] | None, typer.Option(help="Only that half, by the sha256 of solution_key.")] = None,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Count less sure verdicts as abstentions.")] = 0.0,
    show: Annotated[int, typer.Option(min=0, help="Misses to print, both spans marked.")] = 0,
    tokenizer: Annotated[
        str | None, typer.Option(help="Model folder whose tokenizer maps the quotes.", show_default="embedded")
    ] = None,
    max_span_tokens: Annotated[int, typer.Option(min=1, help="A longer span is refused, as in training.")] = 64,
    concurrency: Annotated[int, typer.Option(min=1, help="Calls in flight at most.")] = 16,
    timeout: Timeout = 60.0,
    max_usd: Annotated[float | None, typer.Option(help="Budget in dollars; needs the model's price.")] = None,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep an LLM's verdicts in the user's cache.")] = True,
    as_json: AsJson = False,
) -> None:
    """Measure an oracle against people's labels, with 95 % intervals."""
    from rich.console import Console

    from cal_grpo.alignment import Aligner
    from cal_grpo.oracles import CALOracle
    from cal_grpo.oracles.bench import bench_figures, read_labelled, run_bench, tokenizer_of
    from cal_grpo.oracles.several import is_composite

    rows = read_labelled(data, limit, half)
    tokens = tokenizer_of(tokenizer)
    settings = judge.settings() | {"timeout_s": timeout, "concurrency": concurrency, "max_usd": max_usd, "cache": cache}
    with CALOracle(oracle, **settings) as asked, _progress(asked, rows) as advance:
        results = run_bench(
            rows,
            asked,
            Aligner(tokens, max_span_tokens),
            lambda text: tokens.encode(text, add_special_tokens=False).ids,
            min_confidence=min_confidence,
            concurrency=concurrency,
            on_done=advance,
        )
        name = " ".join(filter(None, [oracle if is_composite(oracle) else asked.name, asked.model]))
        figures = bench_figures(results) | ({"shares": shares} if (shares := asked.shares) else {})
    if as_json:
        typer.echo(json.dumps({"oracle": name, "data": data.name, "half": half, "min_confidence": min_confidence} | figures))
        return
    console = Console()
    console.print(_table(figures, name, data.name + (f", {half} half" if half else "")))
    misses = [j for j in results if j.off_by][:show]
    for number, miss in enumerate(misses, 1):
        console.print(_miss(miss, number, marked=not console.is_terminal), soft_wrap=True)


bench_command.__doc__ = f"{bench_command.__doc__}\n{EXAMPLES}"


@contextlib.contextmanager
def _progress(oracle: "CALOracle", rows: "Sequence[Labelled]") -> "Iterator[Callable[[int], None]]":
    """A bar with the time left, once it has taken a second; in a pipe, a line every ten seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(f"asking {oracle.name}", total=len(rows))
    began = printed = time.monotonic()
    shown = False

    def advance(done: int) -> None:
        nonlocal printed, shown
        now = time.monotonic()
        if console.is_terminal:
            if not shown and now - began > 1:
                bar.start()
                shown = True
            bar.update(task, completed=done)
        elif now - printed > 10:
            printed = now
            left = (now - began) / done * (len(rows) - done)
            console.print(f"asking {oracle.name}: {done} of {len(rows)} rows, {left:.0f} s left", soft_wrap=True, markup=False)

    try:
        yield advance
    finally:
        if shown:
            bar.stop()


def _table(figures: dict[str, Any], name: str, data: str) -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, title=_title(figures, name, data), title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    agreement, floors = figures["label_agreement"], figures["floors"]
    for label, key, note in (
        ("exact first error", "exact", f"two people: {_percent(agreement['exact'])}" if agreement["pairs"] else ""),
        ("within one step", "within_one", f"two people: {_percent(agreement['within_one'])}" if agreement["pairs"] else ""),
        ("too early", "early", ""),
        ("too late", "late", ""),
        ("no span", "abstained", ", ".join(f"{why} {n}" for why, n in sorted(figures["abstained_why"].items()))),
        ("precision of the answers", "precision_when_answering", ""),
    ):
        table.add_row(label, _interval(figures[key]), note)
    if surest := figures["surest_half"]:
        note = f"confidence from {surest['confidence_from']:.2f}"
        table.add_row("precision, surest half", _interval(surest["precision"]), note)
    table.add_row("token precision", _interval(figures["token_precision"]), "blamed tokens in the labelled step")
    table.add_row("token recall", _interval(figures["token_recall"]), "tokens of the labelled step blamed")
    for label, floor in (("floor: random step", floors["random"]), (_constant(floors), floors["constant"])):
        table.add_row(label, _interval(floor["exact"]), f"within one {_percent(floor['within_one'])}")
    if shares := figures.get("shares"):
        table.add_row("answered by", "", ", ".join(f"{who}: {n}" for who, n in shares["answered"].items()))
        table.add_row("calls saved", "", ", ".join(f"{who}: {n}" for who, n in shares["saved"].items()))
    table.add_row("cost", *_cost(figures))
    return table


def _title(figures: dict[str, Any], name: str, data: str) -> "Text":
    from rich.text import Text

    labels = f"{figures['n']} labels of {figures['solutions']} solutions" if figures["solutions"] < figures["n"] else ""
    return Text.assemble((printable(name), "bold cyan"), f" on {printable(data)}: {labels or str(figures['n']) + ' rows'}")


def _constant(floors: dict[str, Any]) -> str:
    return f"floor: always step {floors['constant']['step'] + 1}"


def _cost(figures: dict[str, Any]) -> tuple[str, str]:
    latency = f"{_seconds(figures['latency_p50_s'])} a row (95 %: {_seconds(figures['latency_p95_s'])})"
    if not figures["calls"]:
        return "no calls", latency
    usd = "price unknown" if figures["usd"] is None else f"${figures['usd']:.4f}"
    return f"{figures['calls']} calls, {usd}", f"{figures['tokens']} tokens, {latency}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


def _percent(rate: dict[str, float | None]) -> str:
    return "-" if rate["value"] is None else f"{rate['value']:.1%}"


def _interval(rate: dict[str, float | None]) -> str:
    if rate["value"] is None or rate["low"] is None or rate["high"] is None:
        return "-"
    return f"{rate['value']:6.1%}  [{rate['low']:.1%}, {rate['high']:.1%}]"


def _miss(result: "BenchResult", number: int, marked: bool) -> "Text":
    """One miss; ``marked`` puts the label between ⟨⟩ and the blame between ⟦⟧, for where there are no colours."""
    from rich.text import Text

    row, verdict = result.row, result.verdict
    off = result.off_by or 0
    where = f"{abs(off)} step{'s' if abs(off) > 1 else ''} too {'late' if off > 0 else 'early'}"
    text = Text.assemble((f"\nmiss {number}: {where}", "bold"), _sureness(verdict.confidence))
    text.append(f"\n{printable(verdict.critique)}\n", style="italic")
    text.append(f"question: {printable(row.query.question)}\nreference: {printable(row.query.reference)}\n", style="dim")
    label = row.spans[row.first_error]
    if not marked:
        response = Text(printable(row.query.response))
        response.stylize("on green4", *label)
        if result.span:
            response.stylize("bold on red3", *result.span)
        text.append_text(response)
        return text.append("\n(green: people's label, red: the oracle's blame)\n", style="dim")
    signs = [(label[0], "⟨"), (label[1], "⟩")] + ([(result.span[0], "⟦"), (result.span[1], "⟧")] if result.span else [])
    shown = row.query.response
    for position, sign in sorted(signs, reverse=True):
        shown = shown[:position] + sign + shown[position:]
    return text.append(f"{printable(shown)}\n(⟨people's label⟩, ⟦the oracle's blame⟧)\n")


def _sureness(confidence: float | None) -> str:
    return "" if confidence is None else f", confidence {confidence:.2f}"
