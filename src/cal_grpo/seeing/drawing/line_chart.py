"""Lines over updates, or over another number."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from cal_grpo.seeing.drawing.svg import (
    BOTTOM,
    COLOURS,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    as_text,
    head,
    shown,
    standalone,
    ticks,
)

Point = tuple[float, float]

_LABEL_HEIGHT, _LABEL_GAP, _CHARACTER = 15, 24, 6.8  # of the text at a line's end, what is left for its leader, and a width


class Line(NamedTuple):
    """Points joined, in one of ``COLOURS`` colours.

    Attributes:
        colour: its number.
        points: at least one.
        faint, dashed: how it is drawn.
        label: text at its end.
        band: lowest and highest value at each point, drawn as an area around the line.
        dots: mark the points.
    """

    colour: int
    points: Sequence[Point]
    faint: bool = False
    dashed: bool = False
    label: str = ""
    band: Sequence[Point] = ()
    dots: bool = False


class Chart(NamedTuple):
    """Lines with a title and a line below it. ``unit`` is ``share``, ``$``, ``s`` or nothing; ``x_title`` may be empty."""

    key: str
    title: str
    about: str
    unit: str
    lines: Sequence[Line]
    x_title: str = ""
    width: int = WIDTH
    height: int = HEIGHT


def frame(chart: Chart) -> dict[str, float]:
    """Where the axes are in a picture that ``draw`` made, and the updates at their ends."""
    xs = [x for line in chart.lines for x, _ in line.points]
    label = max(len(line.label) for line in chart.lines)
    right = chart.width - RIGHT - (round(label * _CHARACTER) + _LABEL_GAP if label else 0)
    bottom = chart.height - BOTTOM - (18 if chart.x_title else 0)
    return {"left": LEFT, "right": right, "top": TOP, "bottom": bottom, "first": min(xs), "last": max(xs)}


def draw(chart: Chart) -> str:
    """The chart as a ``<g>`` of its width and height; ``standalone`` makes a file of several."""
    left, right, top, bottom, first, last = frame(chart).values()
    ys = [y for line in chart.lines for y in (*(y for _, y in line.points), *(edge for pair in line.band for edge in pair))]
    y_ticks = ticks(min(ys), max(ys), 4)
    x_ticks = [x for x in ticks(first, last, 5) if first <= x <= last and x == int(x)]
    low, high = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)

    def px(x: float) -> float:
        return left + (right - left) * ((x - first) / (last - first) if last > first else 0.5)

    def py(y: float) -> float:
        return bottom - (bottom - top) * ((y - low) / (high - low))

    parts = head(chart.title, chart.about)
    for y in y_ticks:
        kind = "zero" if y == 0 and y_ticks[0] < 0 else "rule"
        parts.append(f'<line class="{kind}" x1="{left}" x2="{right}" y1="{py(y):.1f}" y2="{py(y):.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{py(y) + 4:.1f}" text-anchor="end">{shown(y, chart.unit)}</text>')
    for x in x_ticks:
        parts.append(f'<text x="{px(x):.1f}" y="{bottom + 16}" text-anchor="middle">{x:,.0f}</text>')
    if chart.x_title:
        middle, below = (left + right) / 2, bottom + 34
        parts.append(f'<text x="{middle:.1f}" y="{below}" text-anchor="middle">{as_text(chart.x_title)}</text>')
    parts += [_band(line, px, py) for line in chart.lines if line.band]
    for line in sorted(chart.lines, key=lambda line: not line.faint):
        parts += _line(line, px, py)
    parts += _labels([line for line in chart.lines if line.label], px, py, top, bottom, right + _LABEL_GAP)
    return "<g>" + "".join(parts) + "</g>"


def chart_svg(chart: Chart) -> str:
    """One chart as a file."""
    return standalone([(draw(chart), 0.0, 0.0)], chart.width, chart.height, chart.title)


Scale = Callable[[float], float]


def _line(line: Line, px: Scale, py: Scale) -> list[str]:
    kind = " faint" if line.faint else " dashed" if line.dashed else ""
    alone = len(line.points) == 1
    dots = line.points if alone or line.dots else ()
    parts = []
    if not alone:
        points = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in line.points)
        parts.append(f'<polyline class="line c{line.colour % COLOURS}{kind}" points="{points}"/>')
    parts += [f'<circle class="f{line.colour % COLOURS}" cx="{px(x):.1f}" cy="{py(y):.1f}" r="3"/>' for x, y in dots]
    return parts


def _band(line: Line, px: Scale, py: Scale) -> str:
    edges = list(zip(line.points, line.band, strict=True))
    there = [(x, high) for (x, _), (_, high) in edges]
    back = [(x, low) for (x, _), (low, _) in reversed(edges)]
    points = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in there + back)
    return f'<polygon class="band f{line.colour % COLOURS}" points="{points}"/>'


def _labels(lines: Sequence[Line], px: Scale, py: Scale, top: float, bottom: float, left: float) -> list[str]:
    """Each line's text beside its end, or as near as the others leave room, with a leader from one to the other."""
    ends = sorted(((py(line.points[-1][1]), px(line.points[-1][0]), line) for line in lines), key=lambda end: end[0])
    parts = []
    for (y, x, line), place in zip(ends, spread([y for y, _, _ in ends], _LABEL_HEIGHT, top, bottom), strict=True):
        ends_at = f'x1="{x + 5:.1f}" y1="{y:.1f}" x2="{left - 4:.1f}" y2="{place:.1f}"'
        parts.append(f'<line class="leader c{line.colour % COLOURS}" {ends_at}/>')
        parts.append(f'<text class="label" x="{left:.1f}" y="{place + 4:.1f}">{as_text(line.label)}</text>')
    return parts


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places in the same order that are ``gap`` apart and, where that goes, between ``low`` and ``high``: those with the
    least squared distance to what was wanted.

    Args:
        wanted: in rising order.
        gap, low, high: in the same unit.
    """
    if len(wanted) < 2:
        return list(wanted)
    import numpy as np
    from scipy.optimize import isotonic_regression

    steps = gap * np.arange(len(wanted))
    risen = isotonic_regression(np.asarray(wanted, float) - steps).x  # less the gaps, places need only not fall
    return [float(place) for place in np.clip(risen, low, max(low, high - steps[-1])) + steps]
