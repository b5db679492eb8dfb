"""Several ways to ask one judge, side by side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cal_grpo.cli.screen.bench_view import Rate, counts, percent, seconds, title

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHARES = (
    ("exact first error", "exact"), ("not later than it", "not_later"), ("within one step", "within_one"),
    ("too early", "early"), ("too late", "late"), ("no span", "abstained"),
    ("precision of the answers", "precision_when_answering"), ("answers not later", "not_later_when_answering"),
)  # fmt: skip


def styles_table(
    figures: Mapping[str, dict[str, Any]], apart: Mapping[str, dict[str, Rate]], name: str, data: str
) -> "RenderableType":
    """The figures of ``oracles.bench.bench_figures``, a column a style; three fit 80 columns.

    Args:
        figures: by style, of the same rows.
        apart: by style, its ``oracles.bench.differences`` from the first one.
        name: of the judge.
        data: what it was asked about.
    """
    from rich.table import Table

    first, *others = figures
    table = Table(box=None, pad_edge=False, padding=(0, 1), title=title(figures[first], name, data), title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    for style in figures:
        table.add_column(style, overflow="fold")
    for label, key in _SHARES:
        table.add_row(label, *(_interval(figures[style][key]) for style in figures))
    for label, key in (("exact", "exact"), ("not later", "not_later")):
        table.add_row(f"{label}, less {first}", "", *(_difference(apart[style][key]) for style in others))
    table.add_row("why no span", *(counts(figures[style]["abstained_why"]) for style in figures))
    floors = figures[first]["floors"]
    for label, floor in (("random step", floors["random"]), (f"step {floors['constant']['step'] + 1}", floors["constant"])):
        table.add_row(f"floor: {label}", percent(floor["exact"]))
    for label, of in (
        ("calls", lambda f: f"{f['calls']}"),
        ("tokens", lambda f: f"{f['tokens']}"),
        ("USD", lambda f: "price unknown" if f["usd"] is None else f"{f['usd']:.4f}"),
        ("seconds a row, median", lambda f: seconds(f["latency_p50_s"])),
        ("95 % are under", lambda f: seconds(f["latency_p95_s"])),
    ):
        table.add_row(label, *(of(figures[style]) for style in figures))
    return table


def _interval(rate: Rate) -> str:
    if rate["value"] is None or rate["low"] is None or rate["high"] is None:
        return "-"
    return f"{rate['value']:.1%} [{100 * rate['low']:.0f}, {100 * rate['high']:.0f}]"


def _difference(rate: Rate) -> str:
    """In percent points."""
    if rate["value"] is None or rate["low"] is None or rate["high"] is None:
        return "-"
    return f"{100 * rate['value']:+.1f} [{100 * rate['low']:+.0f}, {100 * rate['high']:+.0f}]"
