"""``cal-grpo oracle bench``: how good an oracle is, on solutions whose first error people have marked."""

import contextlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cal_grpo.cli.commands.arguments import expanded
from cal_grpo.cli.commands.judge_options import Judge, takes_judge
from cal_grpo.cli.commands.options import AsJson, OracleName, Timeout
from cal_grpo.cli.screen import bench_table, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.text import Text

    from cal_grpo.oracles import CALOracle
    from cal_grpo.oracles.bench import BenchResult

EXAMPLES = """
[bold]Examples[/bold]

  cal-grpo oracle bench --data rows.jsonl

  cal-grpo oracle bench --data rows.jsonl --show 20        with misses

  cal-grpo oracle bench --data rows.jsonl --oracle openai --judge-model NAME --output bench.jsonl

  cal-grpo oracle bench --data rows.jsonl --oracle 'reference@0.6 > openai:NAME' --model POLICY

[bold]Data[/bold]: JSON lines or a JSON array of objects with question, reference_solution, response, step_spans (characters \
[start, end) of each step of the response), first_error_step (0-based) and, where there are, solution_key (several labels of \
one solution) and answer; or ProcessBench's and PRM800K's files as they are.

[bold]Columns[/bold]: [start, end] are 95 % intervals. A place that is too early is cheap, one that is too late is poison: the \
wrong step is paid. "Not later" is the share of places at or before the labelled first error.
"""


@takes_judge
def bench_command(
    data: Annotated[Path, typer.Option(help="JSONL or JSON file of labelled wrong solutions.", callback=expanded)],
    *,
    oracle: OracleName = "reference",
    judge: Judge,
    model: Annotated[
        str | None,
        typer.Option(help="Policy whose tokenizer maps the quotes: a Hugging Face folder or hub id.", show_default="embedded"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="JSONL file of every row's verdict; what it holds is not asked again.", callback=expanded
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at most, from the start.")] = None,
    half: Annotated[Literal["even", "odd"] | None, typer.Option(help="Only that half, by the sha256 of solution_key.")] = None,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Count less sure verdicts as abstentions.")] = 0.0,
    show: Annotated[int, typer.Option(min=0, help="Misses to print, both spans marked.")] = 0,
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
    from cal_grpo.oracles.bench import BenchFile, bench_figures, read_labelled, run_bench, tokenizer_of
    from cal_grpo.oracles.several import is_composite

    left_out: Counter[str] = Counter()
    rows = read_labelled(data, limit, half, left_out)
    tokens = tokenizer_of(model)
    settings = judge.settings() | {"timeout_s": timeout, "concurrency": concurrency, "max_usd": max_usd, "cache": cache}
    with CALOracle(oracle, **settings) as asked:
        file = BenchFile(output, {"asked": oracle} | asked.identity, rows) if output is not None else None
        known = sum(row.query in file.known for row in rows) if file is not None else 0
        with _progress(asked, len(rows), known) as advance:
            results = run_bench(
                rows,
                asked,
                Aligner(tokens, max_span_tokens),
                lambda text: tokens.encode(text, add_special_tokens=False).ids,
                min_confidence=min_confidence,
                concurrency=concurrency,
                on_done=advance,
                file=file,
                left_out=left_out,
            )
        name = " ".join(filter(None, [oracle if is_composite(oracle) else asked.name, asked.model]))
        figures = (
            bench_figures(results) | {"left_out": dict(left_out)} | ({"shares": shares} if (shares := asked.shares) else {})
        )
    if as_json:
        typer.echo(json.dumps({"oracle": name, "data": data.name, "half": half, "min_confidence": min_confidence} | figures))
        return
    console = Console()
    console.print(bench_table(figures, name, data.name + (f", {half} half" if half else "")))
    misses = [j for j in results if j.off_by][:show]
    for number, miss in enumerate(misses, 1):
        console.print(_miss(miss, number, marked=not console.is_terminal), soft_wrap=True)


bench_command.__doc__ = f"{bench_command.__doc__}\n{EXAMPLES}"


@contextlib.contextmanager
def _progress(oracle: "CALOracle", rows: int, known: int) -> "Iterator[Callable[[int], None]]":
    """A bar with the time left, once it has taken a second; in a pipe, a line every ten seconds.

    Args:
        oracle: who is asked.
        rows: in all.
        known: rows of these that need not be asked about.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(f"asking {oracle.name}", total=rows, completed=known)
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
            left = (now - began) / max(done - known, 1) * (rows - done)
            console.print(f"asking {oracle.name}: {done} of {rows} rows, {left:.0f} s left", soft_wrap=True, markup=False)

    try:
        yield advance
    finally:
        if shown:
            bar.stop()


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
