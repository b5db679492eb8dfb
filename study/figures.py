"""Line charts as SVG, without a plotting library: the study needs two kinds of lines and nothing else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 360, 56, 40, 150, 44
_COLOURS = ["#444444", "#d1495b", "#00798c", "#edae49", "#66a182", "#8d5bb5", "#2e4057", "#b5651d", "#7a9cc6"]


@dataclass(frozen=True)
class Line:
    """Points of one formula; ``low`` and ``high`` draw a band around ``y``. ``colour`` numbers the palette: a formula has the
    same in all charts.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    colour: int = 0


def chart(title: str, x_title: str, y_title: str, lines: Mapping[str, Line]) -> str:
    """An SVG document."""
    xs = [x for line in lines.values() for x in line.x]
    ys = [y for line in lines.values() for part in (line.y, line.low or (), line.high or ()) for y in part]
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
    pad = 0.05 * (y1 - y0) or 0.05
    y0, y1 = y0 - pad, y1 + pad

    def at(x: float, y: float) -> str:
        across = _LEFT + (x - x0) / ((x1 - x0) or 1) * (_WIDTH - _LEFT - _RIGHT)
        down = _HEIGHT - _BOTTOM - (y - y0) / (y1 - y0) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="14">{escape(title)}</text>',
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_title)}</text>',
        f'<text transform="translate(14 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>',
    ]
    for y in _ticks(y0, y1):
        left, right = at(x0, y).split(","), at(x1, y).split(",")
        parts.append(f'<line x1="{left[0]}" y1="{left[1]}" x2="{right[0]}" y2="{right[1]}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{float(left[1]) + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in sorted(set(xs)):
        parts.append(f'<text x="{at(x, y0).split(",")[0]}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[line.colour % len(_COLOURS)]
        if line.low is not None and line.high is not None:
            there = [at(x, y) for x, y in zip(line.x, line.high, strict=True)]
            back = [at(x, y) for x, y in zip(line.x, line.low, strict=True)][::-1]
            parts.append(f'<polygon points="{" ".join(there + back)}" fill="{colour}" opacity="0.12"/>')
        points = [at(x, y) for x, y in zip(line.x, line.y, strict=True)]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="2.5" fill="{colour}"/>' for p in points]
        level = _TOP + 16 * number + 8
        parts.append(f'<rect x="{_WIDTH - _RIGHT + 12}" y="{level - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 28}" y="{level}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, four to eight of them."""
    power = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(power * factor for factor in (5, 2, 1) if power * factor <= (high - low) / 4)
    return [round(step * i, 9) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
