"""What a bench found out, as a table."""

from typing import TYPE_CHECKING, Any

from cal_grpo.cli.screen.words import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Rate = dict[str, float | None]


def bench_table(figures: dict[str, Any], name: str, data: str) -> "RenderableType":
    """The figures of ``oracles.bench.bench_figures``, at most 80 columns wide.

    Args:
        figures: with ``left_out`` and, of a cascade, ``shares``.
        name: of the oracle.
        data: what it was asked about.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, title=title(figures, name, data), title_justify="left")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    agreement, floors = figures["label_agreement"], figures["floors"]
    for label, key, note in (
        ("exact first error", "exact", _two_people(agreement, "exact")),
        ("not later than it", "not_later", ""),
        ("within one step", "within_one", _two_people(agreement, "within_one")),
        ("too early", "early", "a right step is blamed"),
        ("too late", "late", "the wrong step is paid"),
        ("no span", "abstained", counts(figures["abstained_why"])),
        ("precision of the answers", "precision_when_answering", ""),
        ("answers not later", "not_later_when_answering", ""),
    ):
        table.add_row(label, _interval(figures[key]), note)
    if surest := figures["surest_half"]:
        note = f"confidence from {surest['confidence_from']:.2f}"
        table.add_row("precision, surest half", _interval(surest["precision"]), note)
    table.add_row("token precision", _interval(figures["token_precision"]), "blamed tokens in the labelled step")
    table.add_row("token recall", _interval(figures["token_recall"]), "tokens of the labelled step blamed")
    if corrections := figures["corrections"]:
        note = f"of {corrections['graded']} that can be graded; {corrections['given']} of {corrections['of']} have one"
        table.add_row("corrections graded right", _interval(corrections["right"]), note)
    always = f"floor: always step {floors['constant']['step'] + 1}"
    for label, floor in (("floor: random step", floors["random"]), (always, floors["constant"])):
        note = f"not later {percent(floor['not_later'])}, within one {percent(floor['within_one'])}"
        table.add_row(label, _interval(floor["exact"]), note)
    if shares := figures.get("shares"):
        table.add_row("answered by", "", counts(shares["answered"]))
        table.add_row("calls saved", "", counts(shares["saved"]))
    if left_out := figures["left_out"]:
        table.add_row("rows left out", f"{sum(left_out.values()):6d}", counts(left_out))
    table.add_row("cost", *_cost(figures))
    return table


def title(figures: dict[str, Any], name: str, data: str) -> "Text":
    from rich.text import Text

    labels = f"{figures['n']} labels of {figures['solutions']} solutions" if figures["solutions"] < figures["n"] else ""
    return Text.assemble((printable(name), "bold cyan"), f" on {printable(data)}: {labels or _counted(figures['n'], 'row')}")


def _two_people(agreement: dict[str, Any], key: str) -> str:
    pairs = agreement["pairs"]
    return f"two people: {percent(agreement[key])} of {_counted(pairs, 'pair')}" if pairs else ""


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{what}: {count}" for what, count in counts.items())


def _cost(figures: dict[str, Any]) -> tuple[str, str]:
    latency = f"{seconds(figures['latency_p50_s'])} a row (95 %: {seconds(figures['latency_p95_s'])})"
    if not figures["calls"]:
        return "no calls", latency
    usd = "price unknown" if figures["usd"] is None else f"${figures['usd']:.4f}"
    return f"{figures['calls']} calls, {usd}", f"{figures['tokens']} tokens, {latency}"


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


def percent(rate: Rate) -> str:
    return "-" if rate["value"] is None else f"{rate['value']:.1%}"


def _interval(rate: Rate) -> str:
    if rate["value"] is None or rate["low"] is None or rate["high"] is None:
        return "-"
    return f"{rate['value']:6.1%}  [{rate['low']:.1%}, {rate['high']:.1%}]"
