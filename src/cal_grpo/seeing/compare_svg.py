"""A comparison in one picture."""

import math

from cal_grpo.intervals import Estimate
from cal_grpo.seeing.comparison import Comparison, Row
from cal_grpo.seeing.curves import CURVES, chart
from cal_grpo.seeing.drawing import COLOURS, HEIGHT, WIDTH, Bar, as_text, draw, draw_intervals, standalone

_COLUMNS, _GAP = 3, 16


def compare_svg(comparison: Comparison) -> str:
    """The settings' curves, and the differences in held-out accuracy, as a file."""
    charts = [c for curve in CURVES if (c := chart(curve, [arm.runs for arm in comparison.arms])) is not None]
    parts = [draw(c) for c in charts]
    bars = [bar for number, row in enumerate(comparison.rows) if (bar := _bar(number, row)) is not None]
    legend_height = 22 * (len(comparison.rows) + 1) + 14
    placed = [(_legend(comparison), 0.0, 0.0)]
    for number, part in enumerate(parts):
        x, y = number % _COLUMNS * (WIDTH + _GAP), legend_height + number // _COLUMNS * (HEIGHT + _GAP)
        placed.append((part, x, y))
    bottom = float(legend_height + math.ceil(len(parts) / _COLUMNS) * (HEIGHT + _GAP))
    width = _COLUMNS * (WIDTH + _GAP) - _GAP
    if bars:
        about = f"points, against {comparison.rows[0].label}; 95 % intervals"
        part, height = draw_intervals("Held-out accuracy, difference", about, bars, width)
        placed.append((part, 0.0, bottom))
        bottom += height
    return standalone(placed, width, bottom, "Comparison of " + ", ".join(row.label for row in comparison.rows))


def _legend(comparison: Comparison) -> str:
    rows = []
    for number, row in enumerate(comparison.rows):
        y = 40 + 22 * number
        after = f", held-out {in_words(row.after)} %" if row.after is not None else ""
        seeds = f" ({len(row.runs)} runs)" if len(row.runs) > 1 else ""
        rows.append(f'<line class="line c{number % COLOURS}" x1="14" x2="40" y1="{y - 4}" y2="{y - 4}"/>')
        rows.append(f'<text class="label" x="48" y="{y}">{as_text(row.label + seeds + after)}</text>')
    return '<text class="title" x="14" y="18">Comparison, update by update</text>' + "".join(rows)


def _bar(number: int, row: Row) -> Bar | None:
    if row.difference is None:
        return None
    low, high = (None if math.isnan(edge) else edge for edge in row.difference[1:])
    return Bar(row.label, number, row.difference.value, low, high, f"{in_words(row.difference, '+')} over {row.over}")


def in_words(estimate: Estimate | None, sign: str = "") -> str:
    """In percent or points: ``+12.1 [8.0, 16.4]``."""
    if estimate is None:
        return "-"
    low, high = (f"{100 * edge:{sign}.1f}" for edge in estimate[1:])
    interval = "" if math.isnan(estimate.low) else f" [{low}, {high}]"
    return f"{100 * estimate.value:{sign}.1f}{interval}"
