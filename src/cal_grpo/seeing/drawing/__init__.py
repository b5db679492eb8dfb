"""How are lines, intervals and their axes drawn?"""

from cal_grpo.seeing.drawing.bars import Bar, draw_intervals
from cal_grpo.seeing.drawing.line_chart import Chart, Line, chart_svg, draw, frame, spread
from cal_grpo.seeing.drawing.svg import COLOURS, HEIGHT, PALETTE, STYLE, WIDTH, as_text, standalone, ticks

__all__ = [
    "COLOURS",
    "HEIGHT",
    "PALETTE",
    "STYLE",
    "WIDTH",
    "Bar",
    "Chart",
    "Line",
    "as_text",
    "chart_svg",
    "draw",
    "draw_intervals",
    "frame",
    "spread",
    "standalone",
    "ticks",
]
