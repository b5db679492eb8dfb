"""Which curves there are of a run, and what they say."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from cal_grpo.seeing.drawing import Chart, Line
from cal_grpo.seeing.run import Run


class Curve(NamedTuple):
    """A metric over a run's updates.

    Attributes:
        key: of ``metrics.jsonl``.
        title, about: what a person reads.
        unit: ``share`` is shown in percent.
        beside: a second metric in the same picture, dashed, and its name.
        summed: show the sum so far.
        noisy: show single updates faintly, and their moving mean.
    """

    key: str
    title: str
    about: str
    unit: str = ""
    beside: tuple[str, str] | None = None
    summed: bool = False
    noisy: bool = True


HELD_OUT = "held-out accuracy"  # no metric of an update's
REWARD = "reward"  # the accuracy, where there is none of one's own
CURVES = (
    Curve(HELD_OUT, "Held-out accuracy", "greedy, between updates", "share", noisy=False),
    Curve("accuracy", "Training accuracy", "share of right answers among an update's rollouts", "share"),
    Curve(REWARD, "Reward", "an answer's, on the average, by reward functions of your own"),
    Curve("kl", "KL", "nats a token, to the reference policy"),
    Curve("entropy", "Entropy", "nats a token, of the policy on its own answers"),
    Curve(
        "cal/advantage_variance", "Variance of the advantages", "over tokens; dashed: GRPO's on the same rollouts",
        beside=("cal/advantage_variance_grpo", "GRPO's"),
    ),
    Curve("cal/credit_share", "Tokens with credit", "share of tokens whose advantage is not 0", "share"),
    Curve(
        "cal/missed_share", "Wrong answers without a span", "share of the wrong answers; dashed: cut off, of all",
        "share", beside=("cal/cut_share", "cut off"),
    ),
    Curve("tokens_mean", "Length", "tokens an answer"),
    Curve("cal/usd", "Oracle, cost", "dollars so far", "$", summed=True, noisy=False),
    Curve(
        "cal/latency_p50_s", "Oracle, latency", "seconds a call, median; dashed: 95th percentile", "s",
        beside=("cal/latency_p95_s", "95th percentile"),
    ),
    Curve("grad_norm", "Gradient norm", "before clipping"),
    Curve("seconds", "Time", "seconds an update", "s"),
)  # fmt: skip
_POINTS = 12  # the moving mean is over a twelfth of the run


def chart(curve: Curve, groups: Sequence[Sequence[Run]]) -> Chart | None:
    """One picture, a colour a group of runs; a group's runs are drawn faintly behind their mean. None without numbers."""
    lines: list[Line] = []
    for colour, runs in enumerate(groups):
        for key, _ in _keys(curve):
            dashed = key != curve.key
            series = [s for run in runs if (s := _series(run, key, curve.summed))]
            if not series:
                continue
            centre = _mean(series) if len(series) > 1 else series[0]
            width = max(1, round(len(centre) / _POINTS)) if curve.noisy else 1
            if not dashed:
                faint = series if len(series) > 1 or width > 1 else []
                lines += [Line(colour, points, faint=True) for points in faint]
            lines.append(Line(colour, _smooth(centre, width), dashed=dashed))
    if not any(y for line in lines for _, y in line.points) and curve.key.startswith("cal/"):
        return None  # a free oracle's cost, or no oracle at all
    return Chart(curve.key, curve.title, curve.about, curve.unit, lines) if lines else None


def measured(curve: Curve, run: Run) -> list[tuple[str, list[tuple[float, float]]]]:
    """The points behind a picture, as they were measured, each series with its name."""
    named = [(f"{run.name} {name}".strip(), _series(run, key, curve.summed)) for key, name in _keys(curve)]
    return [(name, points) for name, points in named if points]


def _keys(curve: Curve) -> list[tuple[str, str]]:
    return [(curve.key, ""), *([curve.beside] if curve.beside else [])]


def _series(run: Run, key: str, summed: bool) -> list[tuple[float, float]]:
    points = [(row["step"], row[key]) for row in run.metrics if key in row]
    if key == REWARD and all(abs(row.get("accuracy", math.inf) - row.get(key, 0)) < 1e-6 for row in run.metrics):
        return []
    if key == HELD_OUT:
        points = [(float(update), accuracy) for update, accuracy in run.held_out.items()]
    if summed:
        totals = itertools.accumulate(y for _, y in points)
        points = [(x, y) for (x, _), y in zip(points, totals, strict=True)]
    return points


def _mean(series: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Over the steps that all have: a mean over fewer runs would jump where one ends."""
    tables = [dict(points) for points in series]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    return [(x, sum(table[x] for table in tables) / len(tables)) for x in shared]


def _smooth(points: Sequence[tuple[float, float]], width: int) -> list[tuple[float, float]]:
    """Centred moving mean over ``width`` points, fewer at the ends."""
    reach = width // 2
    values = [y for _, y in points]
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(points)))
    return [(x, sum(window) / len(window)) for (x, _), window in zip(points, windows, strict=True)]
