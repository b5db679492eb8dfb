"""Every table and figure that the second part's results give."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cal_grpo.seeing import Chart, Line, chart_svg
from study.many import Rows
from study.second.arm import Trial
from study.second.tables import Trained, against_table, curves_table, equal_table, gathered, spent_table, target

_SIZE = {"width": 680, "height": 380}


def report(stages: Mapping[str, Mapping[Trial, Rows]]) -> str:
    """Markdown, a section a plan and world."""
    parts = []
    for stage, done in stages.items():
        for name, found in worlds(done).items():
            base = grpo(found)
            parts.append(f"## {stage}: {name}")
            if base:
                parts.append(f"Target {target(base):.3f}.")
            parts += [curves_table(found, target(base) if base else 1.0), spent_table(found), equal_table(found)]
            if base and any(len(one.rows) > 1 for one in found):
                parts.append(against_table(found, best(base)))
    return "\n\n".join(parts)


def worlds(done: Mapping[Trial, Rows]) -> dict[str, list[Trained]]:
    """Arms by the world, the length and the judge that they learned with."""
    by_name: dict[str, list[Trained]] = defaultdict(list)
    for one in gathered(done):
        judge = one.key.judge
        rates = {"misplaced": judge.misplaced, "silent": judge.silent, "slips": judge.slips}
        errs = ", ".join(f"{rate:.0%} {what}" for what, rate in rates.items() if rate)
        by_name[f"{one.key.world}, {one.key.steps} steps" + (f", judge {errs}" if errs else "")].append(one)
    return dict(by_name)


def grpo(found: Sequence[Trained]) -> list[Trained]:
    """GRPO's layouts and rates."""
    return [one for one in found if one.key.arm.credit == "grpo" and one.key.arm.rows == "off"]


def best(base: Sequence[Trained]) -> Trained:
    """The one that ends highest."""
    return max(base, key=lambda one: float(one.curves_SE[:, -1].mean()))


def figures(done: Mapping[Trial, Rows], least_seeds: int = 2) -> dict[str, str]:
    """Accuracy over sampled tokens, a picture a world; bands are the range of the seeds' standard error."""
    drawings = {}
    for name, found in worlds(done).items():
        several = [one for one in found if len(one.rows) >= least_seeds and one.spent("tokens")[-1] > 0]
        if several:
            key = "second-" + name.replace(",", "").replace("%", "").replace(" ", "-")
            arms = [str(one.key.arm) for one in several]
            lines = [_line(i, one, arms.count(str(one.key.arm)) > 1) for i, one in enumerate(several)]
            about = "greedy; band: standard error over seeds"
            chart = Chart(key, f"Held-out accuracy, {name}", about, "share", lines, "thousand tokens sampled", **_SIZE)
            drawings[key] = chart_svg(chart)
    return drawings


def _line(number: int, one: Trained, with_rate: bool) -> Line:
    curves = one.curves_SE
    middle, error = curves.mean(axis=0), curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
    xs = (one.spent("tokens") / 1000).tolist()
    band = list(zip((middle - error).tolist(), (middle + error).tolist(), strict=True))
    label = f"{one.key.arm} at {one.key.learning_rate:g}" if with_rate else str(one.key.arm)
    return Line(number % 8, list(zip(xs, middle.tolist(), strict=True)), label=label, band=band, dots=True)


def stages_of(folder: Path) -> dict[str, dict[Trial, Rows]]:
    """The results of each plan, in the order of their names."""
    from study.second.stored import read

    return {file.stem: dict(read(file)) for file in sorted(folder.glob("*.jsonl"))}
