"""The study's figures: the curves of each start, and what the formulas gain over GRPO by length and by start."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from cal_grpo.intervals import Estimate
from cal_grpo.seeing import Chart, Line, chart_svg
from study.differences import Replicates, difference
from study.tables import BASE, compared, starts
from study.trial import Trial

# The main comparison, and each formula's colour: grey is what all are measured against.
_DRAWN = {BASE: 6, "prefix": 1, "balanced": 2, "capo": 3, "vppo": 4, "probability_mask": 7, "random_span": 0}
_LEAST = 0.3  # start accuracy that the protocol asks for
_SIZE = {"width": 680, "height": 380}

Gains = Sequence[tuple[float, Estimate]]
"""A formula's gain over GRPO at each place on the x axis."""


def figures(found: dict[Trial, Replicates]) -> dict[str, str]:
    """SVG documents by name. A formula has one colour in all."""
    drawings = {}
    by_length: dict[str, list[tuple[float, Estimate]]] = defaultdict(list)
    by_start: dict[str, list[tuple[float, Estimate]]] = defaultdict(list)
    for start in starts(found):
        there = compared(found, start)
        of = {name: there[name] for name in _DRAWN if name in there}
        if BASE not in of:
            continue
        steps, first = start[1], of[BASE].curves[:, 0].mean()
        drawings[f"accuracy-{steps}-from-{100 * first:.0f}"] = _accuracy(of, steps, first)
        for name in of.keys() - {BASE}:
            gain = difference(of[name], of[BASE])
            by_start[name].append((round(100 * first), gain))
            if first >= _LEAST:
                by_length[name].append((steps, gain))
    for key, gains, x_title in (
        ("gain-by-length", by_length, f"steps of the story, starts of {_LEAST:.0%} and more"),
        ("gain-by-start", by_start, "greedy accuracy at the start, %"),
    ):
        lines = [_gain(name, gains[name]) for name in _DRAWN if len(gains.get(name, ())) > 1]
        if lines:
            about = "points; band: 95 % interval over seeds and questions"
            drawings[key] = chart_svg(Chart(key, "Final accuracy minus GRPO's", about, "", lines, x_title, **_SIZE))
    return drawings


def _accuracy(of: Mapping[str, Replicates], steps: int, first: float) -> str:
    lines = []
    for name, arm in of.items():
        mean, seeds = arm.curves.mean(axis=0), len(arm.results)
        error = arm.curves.std(axis=0, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.zeros_like(mean)
        updates, middle, low, high = (
            list(map(float, values[1:])) for values in (arm.updates, mean, mean - error, mean + error)
        )
        lines.append(_labelled(name, list(zip(updates, middle, strict=True)), list(zip(low, high, strict=True))))
    title = f"Held-out accuracy, {steps} steps, start {first:.0%}"
    about = "greedy; band: standard error of the mean over seeds"
    return chart_svg(Chart("accuracy", title, about, "share", lines, "updates", **_SIZE))


def _gain(name: str, gains: Gains) -> Line:
    ordered = sorted(gains, key=lambda gain: gain[0])
    points = [(x, 100 * estimate.value) for x, estimate in ordered]
    return _labelled(name, points, [(100 * estimate.low, 100 * estimate.high) for _, estimate in ordered])


def _labelled(name: str, points: Sequence[tuple[float, float]], band: Sequence[tuple[float, float]]) -> Line:
    return Line(_DRAWN[name], points, label=name, band=band, dots=True)
