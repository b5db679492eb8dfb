"""Every table and figure that the second part's results give."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cal_grpo.seeing import Chart, Line, chart_svg
from study.many import Rows
from study.second.arm import Arm, Judge, Trial
from study.second.tables import Trained, against_table, curves_table, equal_table, gathered, seeds_table, spent_table, target

SCREENING = "1-screen-twelve"
PRIMARY = Arm("prefix", 64, 1, "batch", "rest")
_SIZE = {"width": 680, "height": 380}


def report(stages: Mapping[str, Mapping[Trial, Rows]]) -> str:
    """Markdown, a section a world: that of screening first, then those of all other plans together."""
    parts = []
    for name, found in sections(stages).items():
        base, goal = best(found), target(grpo(found)) if grpo(found) else 1.0
        parts.append(f"## {name}")
        if base is not None:
            parts.append(f"Target {goal:.3f}.")
        parts += [curves_table(found, goal), seeds_table(found), spent_table(found), equal_table(found, base)]
        several = [one for one in found if len(one.rows) > 1]
        ours = next((one for one in several if one.key.arm == PRIMARY and one.key.learning_rate == 2e-4), None)
        if base in several:
            parts.append(against_table(several, base, ours))
        if ours is not None:
            parts.append(against_table(several, ours))
    return "\n\n".join(parts)


def sections(stages: Mapping[str, Mapping[Trial, Rows]]) -> dict[str, list[Trained]]:
    """Arms by the world that they learned in; those of screening, which had questions of their own, by themselves.

    GRPO asks no judge and reads no reference, so its trainings in `ledger` stand for those in `terse` and `answers`, and those
    in `wordy` for any judge's.
    """
    found = {f"Screening: {name}": arms for name, arms in worlds(stages.get(SCREENING, {})).items()}
    others = {trial: rows for name, done in stages.items() if name != SCREENING for trial, rows in done.items()}
    by_world = worlds(others)
    for name, arms in by_world.items():
        key = arms[0].key
        same = _world_of(replace(key, world="wordy" if key.world == "wordy" else "ledger", judge=Judge()))
        found[name] = [*arms, *grpo(by_world.get(same, []) if same != name else [])]
    return found


def worlds(done: Mapping[Trial, Rows]) -> dict[str, list[Trained]]:
    """Arms by the world, the length and the judge that they learned with; of one that ran twice what has most seeds."""
    by_name: dict[str, dict[Trial, Trained]] = defaultdict(dict)
    for one in gathered(done):
        same, arm = by_name[_world_of(one.key)], replace(one.key, evaluate_every=1)
        same[arm] = max(same.get(arm, one), one, key=lambda one: (len(one.rows), len(one.updates)))
    return {name: list(arms.values()) for name, arms in by_name.items()}


def _world_of(trial: Trial) -> str:
    rates = {"misplaced": trial.judge.misplaced, "silent": trial.judge.silent, "slips": trial.judge.slips}
    errs = ", ".join(f"{rate:.0%} {what}" for what, rate in rates.items() if rate)
    return f"{trial.world}, {trial.steps} steps" + (f", judge {errs}" if errs else "")


def grpo(found: Sequence[Trained]) -> list[Trained]:
    """GRPO's layouts and rates, from the policy itself."""
    return [one for one in found if one.key.arm.credit == "grpo" and one.key.arm.rows == "off" and not one.key.arm.sft_updates]


def best(found: Sequence[Trained]) -> Trained | None:
    """GRPO's layout and rate that ends highest; None without one."""
    return max(grpo(found), key=lambda one: float(one.curves_SE[:, -1].mean()), default=None)


def figures(stages: Mapping[str, Mapping[Trial, Rows]], least_seeds: int = 2) -> dict[str, str]:
    """Accuracy over sampled tokens, a picture a world; bands are the range of the seeds' standard error."""
    drawings = {}
    for name, found in sections(stages).items():
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
