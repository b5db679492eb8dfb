"""What all pictures are made of, as SVG: text, classes and numbers, no script and nothing from elsewhere.

Colours are CSS variables, so that one picture is right in light and dark.
"""

import math
from collections.abc import Sequence
from html import escape

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
.chart .leader { fill: none; stroke-width: 1; stroke-dasharray: 1 2; }
.chart .band { fill-opacity: 0.14; }
.chart .dashed { stroke-dasharray: 5 4; stroke-width: 1.5; }
""" + "".join(f".chart .c{i} {{ stroke: var(--c{i}); }} .chart .f{i} {{ fill: var(--c{i}); }}\n" for i in range(COLOURS))

WIDTH, HEIGHT = 360, 220  # of a chart among others
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 46, 22
_SLACK = 5e-7  # of a tick's step: a KL of -1e-10 is drawn, and needs no tick below 0


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


def head(title: str, about: str) -> list[str]:
    """A picture's first two lines."""
    heading = f'<text class="title" x="{RIGHT}" y="18">{as_text(title)}</text>'
    return [heading, f'<text x="{RIGHT}" y="34">{as_text(about)}</text>']
