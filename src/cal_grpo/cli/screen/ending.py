"""The lines at the end of a training."""

import shlex

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cal_grpo.errors import UsageError, one_line
from cal_grpo.runs import Trained
from cal_grpo.seeing import Run, outcome


def print_summary(trained: Trained, console: Console | None = None) -> None:
    """What happened, in a few lines, and where it lies."""
    console = console or Console()
    summary, run = trained.summary, str(trained.run)
    accuracy, oracle = summary["eval"], summary["oracle"]
    table = Table.grid(padding=(0, 2))
    if accuracy["n"]:
        before, after = accuracy["before"], accuracy["after"]
        change = f"{after if before is None else before:.1%}"
        if before is not None and after is not None:
            change = f"{before:.1%} -> [bold]{after:.1%}[/bold] ({(after - before) * 100:+.1f} points)"
        table.add_row("held-out accuracy", f"{change} on {accuracy['n']} questions, greedy")
        if interval := _interval(trained):
            table.add_row("", interval)
    if best := accuracy.get("best"):
        where = escape(one_line(str(trained.run / "best" / "policy")))
        table.add_row("best", f"{best['accuracy']:.1%} after update {best['update']}, kept in {where}")
    table.add_row("updates", f"{summary['steps']} with credit '{summary['credit']}', seed {summary['seed']}")
    if oracle["asked"]:
        missed = ", ".join(f"{reason} {count}" for reason, count in sorted(oracle["missed"].items()))
        share = oracle["found"] / oracle["asked"]
        table.add_row(
            "wrong answers", f"{oracle['asked']} judged, {oracle['found']} spans found ({share:.0%})"
            + (f"; missed: {escape(one_line(missed))}" if missed else ""),
        )  # fmt: skip
    if oracle["calls"] or oracle["cached"]:  # a free oracle makes none
        table.add_row(
            "oracle", f"{oracle['calls']} calls, {oracle['cached']} of {oracle['asked']} answers cached, "
            + ("price unknown" if oracle["usd"] is None else f"${oracle['usd']:.4f}"),
        )  # fmt: skip
    if summary.get("cut_share"):
        table.add_row("cut off", f"{summary['cut_share']:.1%} of the answers; rollout.max_new_tokens is the limit")
    table.add_row("time", f"{summary['wall_s']:.0f} s, of which {summary['compile_s']:.0f} s compiling")
    table.add_row("on", Text(one_line(str(summary.get("device", "?")))))
    table.add_row("run folder", Text(one_line(run)))
    if stopped := summary.get("stopped"):
        more = " --set oracle.max_usd=MORE (or max_calls, max_tokens)" if stopped == "budget" else ""
        table.add_row("to go on", Text(f"cal-grpo train --resume {shlex.quote(run)}{more}"))
    table.add_row("to see it", Text(f"cal-grpo report {shlex.quote(run)}   # a page of curves and answers"))
    table.add_row("", Text(f"cal-grpo inspect {shlex.quote(run)}  # answers, blamed tokens"))
    console.print(table)


def _interval(trained: Trained) -> str:
    """Of the gain, over the questions that were asked before and after; nothing where they cannot be read."""
    try:
        gain = outcome(Run(trained.run)).gain
    except UsageError:
        return ""
    return "" if gain is None else f"95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f} points"
