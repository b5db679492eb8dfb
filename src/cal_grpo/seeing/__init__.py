"""What became of a run: its files read back, compared and drawn?"""

from cal_grpo.seeing.compare_svg import compare_svg, in_words
from cal_grpo.seeing.comparison import Comparison, Paired, compare
from cal_grpo.seeing.drawing import Chart, Line, chart_svg
from cal_grpo.seeing.outcome import Outcome, outcome
from cal_grpo.seeing.pages import write_page
from cal_grpo.seeing.report import report_page
from cal_grpo.seeing.rollout import Rollout
from cal_grpo.seeing.run import Run, open_runs

__all__ = [
    "Chart",
    "Comparison",
    "Line",
    "Outcome",
    "Paired",
    "Rollout",
    "Run",
    "chart_svg",
    "compare",
    "compare_svg",
    "in_words",
    "open_runs",
    "outcome",
    "report_page",
    "write_page",
]
