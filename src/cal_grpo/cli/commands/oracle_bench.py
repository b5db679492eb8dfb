"""``cal-grpo oracle bench``: how good an oracle is, on solutions whose first error people have marked."""

import contextlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cal_grpo.cli.commands.arguments import expanded
from cal_grpo.cli.commands.judge_options import Judge, takes_judge
from cal_grpo.cli.commands.options import AsJson, OracleName, Timeout
from cal_grpo.cli.screen import bench_table, printable, styles_table
from cal_grpo.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.text import Text

    from cal_grpo.oracles.bench import BenchResult

EXAMPLES = """
[bold]Examples[/bold]

  cal-grpo oracle bench --data rows.jsonl

  cal-grpo oracle bench --data rows.jsonl --show 20        with misses

  cal-grpo oracle bench --data rows.jsonl --oracle openai --judge-model NAME --output bench.jsonl

  cal-grpo oracle bench --data rows.jsonl --oracle openai --judge-model NAME --style direct,steps,repair

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
    style: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,NAME]",
            show_default="direct",
            help="direct, repair or steps: quotes the error, repairs the response, names the step. Several are compared.",
            autocompletion=lambda: ["direct", "repair", "steps"],
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Policy whose tokenizer maps the quotes: a Hugging Face folder or hub id.", show_default="embedded"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSONL file of every row's verdict; what it holds is not asked again. Of several styles: FILE-STYLE each.",
            callback=expanded,
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
    from cal_grpo.oracles.bench import BenchFile, bench_figures, differences, read_labelled, run_bench, tokenizer_of
    from cal_grpo.oracles.several import is_composite

    left_out: Counter[str] = Counter()
    rows = read_labelled(data, limit, half, left_out)
    tokens = tokenizer_of(model)
    settings: dict[str, Any] = judge.settings() | {"timeout_s": timeout, "concurrency": concurrency, "cache": cache}
    styles, spent, name = _styles(style), 0.0, oracle
    figures: dict[str, dict[str, Any]] = {}
    results: dict[str, list[BenchResult]] = {}
    for one in styles:
        if max_usd is not None and spent >= max_usd:
            raise UsageError(
                f"the budget of ${max_usd:g} is spent before style {one}; go on with a larger --max-usd: what --output or the "
                "cache holds is not paid again"
            )
        budget = None if max_usd is None else max_usd - spent
        with CALOracle(oracle, **settings, style=one, max_usd=budget) as asked:
            place = output if output is None or len(styles) == 1 else output.with_stem(f"{output.stem}-{one}")
            file = BenchFile(place, {"asked": oracle} | asked.identity, rows) if place is not None else None
            known = sum(row.query in file.known for row in rows) if file is not None else 0
            left_out_here = left_out.copy()
            with _progress(f"{asked.name}, {one}" if len(styles) > 1 else asked.name, len(rows), known) as advance:
                results[one] = run_bench(
                    rows,
                    asked,
                    Aligner(tokens, max_span_tokens),
                    lambda text: tokens.encode(text, add_special_tokens=False).ids,
                    min_confidence=min_confidence,
                    concurrency=concurrency,
                    on_done=advance,
                    file=file,
                    left_out=left_out_here,
                )
            spent += asked.spent.usd or 0.0
            name = " ".join(filter(None, [oracle if is_composite(oracle) else asked.name, asked.model]))
            figures[one] = bench_figures(results[one]) | {"left_out": dict(left_out_here)}
            figures[one] |= {"shares": shares} if (shares := asked.shares) else {}
    first = styles[0]
    apart = {one: differences(results[one], results[first]) for one in styles[1:]}
    about = data.name + (f", {half} half" if half else "")
    if as_json:
        head = {"oracle": name, "data": data.name, "half": half, "min_confidence": min_confidence}
        typer.echo(json.dumps(head | ({"styles": figures, f"less_{first}": apart} if apart else figures[first])))
        return
    console = Console()
    console.print(styles_table(figures, apart, name, about) if apart else bench_table(figures[first], name, about))
    for one in styles:
        misses = [j for j in results[one] if j.off_by][:show]
        for number, miss in enumerate(misses, 1):
            what = f"{one}, miss {number}" if apart else f"miss {number}"
            console.print(_miss(miss, what, marked=not console.is_terminal), soft_wrap=True)


def _styles(words: list[str] | None) -> list[str]:
    """Those named, once each, in their order: said several times, or with commas between.

    Raises:
        UsageError: there is no such style.
    """
    from cal_grpo.oracles.judges import style_of

    named = [name for word in words or ["direct"] for part in word.split(",") if (name := part.strip())]
    for name in named:
        style_of(name)
    return list(dict.fromkeys(named)) or ["direct"]


bench_command.__doc__ = f"{bench_command.__doc__}\n{EXAMPLES}"


@contextlib.contextmanager
def _progress(who: str, rows: int, known: int) -> "Iterator[Callable[[int], None]]":
    """A bar with the time left, once it has taken a second; in a pipe, a line every ten seconds.

    Args:
        who: is asked.
        rows: in all.
        known: rows of these that need not be asked about.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(f"asking {who}", total=rows, completed=known)
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
            console.print(f"asking {who}: {done} of {rows} rows, {left:.0f} s left", soft_wrap=True, markup=False)

    try:
        yield advance
    finally:
        if shown:
            bar.stop()


def _miss(result: "BenchResult", what: str, marked: bool) -> "Text":
    """One miss; ``marked`` puts the label between ⟨⟩ and the blame between ⟦⟧, for where there are no colours."""
    from rich.text import Text

    row, verdict = result.row, result.verdict
    off = result.off_by or 0
    where = f"{abs(off)} step{'s' if abs(off) > 1 else ''} too {'late' if off > 0 else 'early'}"
    text = Text.assemble((f"\n{what}: {where}", "bold"), _sureness(verdict.confidence))
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
