"""Line charts and intervals as SVG: text, classes and numbers, no script and nothing from elsewhere.

Colours are CSS variables, so that one picture is right in light and dark.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

Point = tuple[float, float]

COLOURS = 8
# Okabe and Ito's palette, darkened or lightened until lines have a contrast of 3:1 and more to their ground.
PALETTE = """
:root { --ink: #1b1f24; --soft: #57606a; --rule: #d8dee4; --ground: #ffffff;
  --c0: #0072b2; --c1: #c65102; --c2: #00805e; --c3: #a8467f; --c4: #7a6400; --c5: #2f7fc1; --c6: #5b5b5b; --c7: #8250df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4af; --rule: #343b44; --ground: #14181d;
  --c0: #56b4e9; --c1: #ff9a5c; --c2: #34c99a; --c3: #e79ac6; --c4: #dcc24a; --c5: #8ab8ff; --c6: #b5b5b5; --c7: #c3a6ff; } }
"""
STYLE = """
.chart text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.chart .title { font-weight: 600; font-size: 14px; fill: var(--ink); }
.chart .label { fill: var(--ink); }
.chart .over { paint-order: stroke; stroke: var(--ground); stroke-width: 4px; }
.chart .rule { stroke: var(--rule); stroke-width: 1; }
.chart .zero { stroke: var(--soft); stroke-width: 1; }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.chart .faint { stroke-width: 1; stroke-opacity: 0.4; }
.chart .dashed { stroke-dasharray: 5 4; stroke-width: 1.5; }
""" + "".join(f".chart .c{i} {{ stroke: var(--c{i}); }} .chart .f{i} {{ fill: var(--c{i}); }}\n" for i in range(COLOURS))

WIDTH, HEIGHT = 360, 220  # of a chart
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 46, 22
_SLACK = 5e-7  # of a tick's step: a KL of -1e-10 is drawn, and needs no tick below 0


class Line(NamedTuple):
    """Points joined, in one of ``COLOURS`` colours."""

    colour: int
    points: Sequence[Point]
    faint: bool = False
    dashed: bool = False


class Chart(NamedTuple):
    """Lines over updates, with a title and a line below it. ``unit`` is ``share``, ``$``, ``s`` or nothing."""

    key: str
    title: str
    about: str
    unit: str
    lines: Sequence[Line]


class Bar(NamedTuple):
    """A value with its interval, None where there is none, and the words beside it."""

    label: str
    colour: int
    value: float
    low: float | None
    high: float | None
    words: str


def frame(chart: Chart) -> dict[str, float]:
    """Where the axes are in a picture that ``draw`` made, and the updates at their ends."""
    xs = [x for line in chart.lines for x, _ in line.points]
    edges = {"left": _LEFT, "right": WIDTH - _RIGHT, "top": _TOP, "bottom": HEIGHT - _BOTTOM}
    return edges | {"first": min(xs), "last": max(xs)}


def draw(chart: Chart) -> str:
    """The chart as a ``<g>`` of ``WIDTH`` by ``HEIGHT``; ``standalone`` makes a file of several."""
    left, right, top, bottom, first, last = frame(chart).values()
    ys = [y for line in chart.lines for _, y in line.points]
    y_ticks = ticks(min(ys), max(ys), 4)
    x_ticks = [x for x in ticks(first, last, 5) if first <= x <= last and x == int(x)]
    low, high = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)

    def px(x: float) -> float:
        return left + (right - left) * ((x - first) / (last - first) if last > first else 0.5)

    def py(y: float) -> float:
        return bottom - (bottom - top) * ((y - low) / (high - low))

    parts = _head(chart.title, chart.about)
    for y in y_ticks:
        parts.append(f'<line class="rule" x1="{left}" x2="{right}" y1="{py(y):.1f}" y2="{py(y):.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{py(y) + 4:.1f}" text-anchor="end">{shown(y, chart.unit)}</text>')
    for x in x_ticks:
        parts.append(f'<text x="{px(x):.1f}" y="{bottom + 16}" text-anchor="middle">{x:,.0f}</text>')
    for line in sorted(chart.lines, key=lambda line: not line.faint):
        kind = " faint" if line.faint else " dashed" if line.dashed else ""
        if len(line.points) == 1:
            x, y = line.points[0]
            parts.append(f'<circle class="f{line.colour % COLOURS}" cx="{px(x):.1f}" cy="{py(y):.1f}" r="3"/>')
        else:
            points = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in line.points)
            parts.append(f'<polyline class="line c{line.colour % COLOURS}{kind}" points="{points}"/>')
    return "<g>" + "".join(parts) + "</g>"


def draw_intervals(title: str, about: str, bars: Sequence[Bar], width: int = 360, row: int = 36) -> tuple[str, int]:
    """Values with their intervals on one axis through 0, a row each: a ``<g>`` and its height."""
    edges = [0.0, *(edge for bar in bars for edge in (bar.value, bar.low, bar.high) if edge is not None)]
    x_ticks = ticks(min(edges), max(edges), 4)
    low, high = min(x_ticks[0], *edges), max(x_ticks[-1], *edges)
    left, right, height = _RIGHT, width - _RIGHT, _TOP + row * len(bars) + _BOTTOM

    def px(x: float) -> float:
        return left + 18 + (right - left - 36) * (x - low) / (high - low)

    parts = _head(title, about)
    for x in x_ticks:
        kind = "zero" if x == 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{px(x):.1f}" x2="{px(x):.1f}" y1="{_TOP}" y2="{height - _BOTTOM}"/>')
        parts.append(f'<text x="{px(x):.1f}" y="{height - 6}" text-anchor="middle">{_points(x)}</text>')
    for number, bar in enumerate(bars):
        y, colour = _TOP + row * number + 26, bar.colour % COLOURS
        parts.append(f'<text class="label over" x="{left}" y="{y - 10}">{as_text(bar.label)}</text>')
        parts.append(f'<text class="over" x="{right}" y="{y - 10}" text-anchor="end">{as_text(bar.words)}</text>')
        if bar.low is not None and bar.high is not None:
            parts.append(f'<line class="line c{colour}" x1="{px(bar.low):.1f}" x2="{px(bar.high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="f{colour}" cx="{px(bar.value):.1f}" cy="{y}" r="4"/>')
    return "<g>" + "".join(parts) + "</g>", height


def standalone(parts: Sequence[tuple[str, float, float]], width: float, height: float, title: str) -> str:
    """A file of ``(g, x, y)`` parts at their places."""
    body = "".join(f'<g transform="translate({x:g} {y:g})">{part}</g>\n' for part, x, y in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{as_text(title)}">\n<title>{as_text(title)}</title>\n'
        f'<style>{PALETTE}{STYLE}</style>\n<rect width="100%" height="100%" fill="var(--ground)"/>\n{body}</svg>\n'
    )


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers, about ``count`` of them, from at most ``low`` to at least ``high``; steps of 1, 2 or 5 times 10^n."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-200):  # as good as flat
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [n * step for n in range(math.floor(low / step + _SLACK), math.ceil(high / step - _SLACK) + 1)]


def shown(value: float, unit: str) -> str:
    """A number as an axis shows it."""
    if unit == "share":
        return f"{100 * value:.3g} %"
    text = f"{value:,.3g}" if abs(value) < 1000 else f"{value / 1000:,.3g}k"
    text = "0" if abs(value) < 1e-12 else text
    return f"${text}" if unit == "$" else f"{text} {unit}".rstrip()


def as_text(text: str) -> str:
    """Text between tags; what XML or a reader's eye cannot take is replaced."""
    return escape("".join(c if c.isprintable() else "�" for c in text))


def _points(share: float) -> str:
    return "0" if share == 0 else f"{100 * share:+.3g}"


def _head(title: str, about: str) -> list[str]:
    heading = f'<text class="title" x="{_RIGHT}" y="18">{as_text(title)}</text>'
    return [heading, f'<text x="{_RIGHT}" y="34">{as_text(about)}</text>']
