"""Values with their intervals on one axis, a row each."""

from collections.abc import Sequence
from typing import NamedTuple

from cal_grpo.seeing.drawing.svg import BOTTOM, COLOURS, RIGHT, TOP, as_text, head, ticks


class Bar(NamedTuple):
    """A value with its interval, None where there is none, and the words beside it."""

    label: str
    colour: int
    value: float
    low: float | None
    high: float | None
    words: str


def draw_intervals(title: str, about: str, bars: Sequence[Bar], width: int = 360, row: int = 36) -> tuple[str, int]:
    """Values with their intervals on one axis through 0, a row each: a ``<g>`` and its height."""
    edges = [0.0, *(edge for bar in bars for edge in (bar.value, bar.low, bar.high) if edge is not None)]
    x_ticks = ticks(min(edges), max(edges), 4)
    low, high = min(x_ticks[0], *edges), max(x_ticks[-1], *edges)
    left, right, height = RIGHT, width - RIGHT, TOP + row * len(bars) + BOTTOM

    def px(x: float) -> float:
        return left + 18 + (right - left - 36) * (x - low) / (high - low)

    parts = head(title, about)
    for x in x_ticks:
        kind = "zero" if x == 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{px(x):.1f}" x2="{px(x):.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(f'<text x="{px(x):.1f}" y="{height - 6}" text-anchor="middle">{_points(x)}</text>')
    for number, bar in enumerate(bars):
        y, colour = TOP + row * number + 26, bar.colour % COLOURS
        parts.append(f'<text class="label over" x="{left}" y="{y - 10}">{as_text(bar.label)}</text>')
        parts.append(f'<text class="over" x="{right}" y="{y - 10}" text-anchor="end">{as_text(bar.words)}</text>')
        if bar.low is not None and bar.high is not None:
            parts.append(f'<line class="line c{colour}" x1="{px(bar.low):.1f}" x2="{px(bar.high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="f{colour}" cx="{px(bar.value):.1f}" cy="{y}" r="4"/>')
    return "<g>" + "".join(parts) + "</g>", height


def _points(share: float) -> str:
    return "0" if share == 0 else f"{100 * share:+.3g}"
