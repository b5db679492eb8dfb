"""The study's tables, in Markdown."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from cal_grpo.config import EMBEDDED
from cal_grpo.intervals import Estimate
from study.differences import Gradient, Replicates, best, difference, over_seeds, reaches
from study.stored import Result
from study.trial import Trial, settings, start_of

Start = tuple[str, int]
"""A policy and the steps of its stories."""

BASE = "grpo"
_DEFAULT = "prefix"  # what the library gives who does not choose
MAIN: Start = (EMBEDDED, 8)  # where learning rates were chosen, on these seeds; see the protocol
_TUNED_ON = (0, 1)
_FIXED = {"beta": "KL weight", "batch_size": "questions an update", "prefix_reward": "prefix reward",
          "negative_reward": "negative reward"}  # fmt: skip
_USUAL = Trial(BASE, steps=8, learning_rate=1.0, seed=0)


def arms(results: Iterable[Result]) -> dict[Trial, Replicates]:
    """Results of the same settings together, by seed."""
    groups: dict[Trial, list[Result]] = defaultdict(list)
    for result in results:
        groups[settings(result.trial)].append(result)
    return {key: Replicates(sorted(group, key=lambda r: r.trial.seed)) for key, group in groups.items()}


def chosen_rates(found: dict[Trial, Replicates]) -> dict[str, float]:
    """For each formula the rate with the best mean final accuracy on the grid; a tie takes the smaller."""
    grid = [(key, _on_grid(arm)) for key, arm in found.items() if _in_grid(key)]
    ranked = sorted(((mean, -key.learning_rate, key.credit) for key, mean in grid if mean is not None))
    return {credit: -rate for _, rate, credit in ranked}


def starts(found: dict[Trial, Replicates]) -> list[Start]:
    """What was started from, the shortest chains first."""
    return sorted({start_of(key) for key in found}, key=lambda start: (start[1], start[0]))


def compared(found: dict[Trial, Replicates], start: Start, misjudged: float = 0.0) -> dict[str, Replicates]:
    """The arms of one start at their chosen rates, GRPO first."""
    rates = chosen_rates(found)
    own = {
        key.credit: arm
        for key, arm in found.items()
        if start_of(key) == start
        and key.misjudged == misjudged
        and key.learning_rate == rates.get(key.credit)
        and not varied(key)
    }
    return dict(sorted(own.items(), key=lambda item: (item[0] != BASE, -item[1].curves[:, -1].mean())))


def rates_table(found: dict[Trial, Replicates]) -> str:
    """Final accuracy of every formula and rate of the grid."""
    rows: dict[str, dict[float, float]] = defaultdict(dict)
    for key, arm in found.items():
        if _in_grid(key) and (mean := _on_grid(arm)) is not None:
            rows[key.credit][key.learning_rate] = mean
    rates = sorted({rate for row in rows.values() for rate in row})
    chosen = chosen_rates(found)

    def cell(credit: str, rate: float) -> str:
        text = f"{rows[credit][rate]:.3f}" if rate in rows[credit] else ""
        return f"**{text}**" if rate == chosen[credit] else text

    body = [[f"`{credit}`", *(cell(credit, rate) for rate in rates)] for credit in sorted(rows)]
    return _table(["formula", *(f"{rate:g}" for rate in rates)], body)


def accuracy_table(of: dict[str, Replicates], base: Replicates) -> str:
    """What was learned, each formula against GRPO and the default against each; pairs of the seeds that both have."""
    head = ["formula", "rate", "seeds", "start", *(f"{u}" for u in base.updates[1:]), "best", "final − GRPO's [95 %]",
            "t over seeds", f"`{_DEFAULT}`'s final − it [95 %]", "updates to GRPO's best", "collapsed"]  # fmt: skip
    goal = base.curves.mean(axis=0)[1:].max()
    body = []
    for name, arm in of.items():
        mean = arm.curves.mean(axis=0)
        there = reaches(arm, goal)
        against = "" if arm is base else _points(difference(arm, base))
        by_seed = "" if arm is base else _points(over_seeds(arm, base))
        behind = _points(difference(of[_DEFAULT], arm)) if _DEFAULT in of and name != _DEFAULT else ""
        body.append(
            [f"`{name}`", f"{arm.results[0].trial.learning_rate:g}", str(len(arm.results)), *(f"{a:.3f}" for a in mean),
             f"{best(arm):.3f}", against, by_seed, behind, "never" if there is None else str(there), f"{arm.collapsed()}"]
        )  # fmt: skip
    return _table(head, body)


def behaviour_table(of: dict[str, Replicates]) -> str:
    """How it behaves over the updates before the last evaluation."""
    columns = [("step_error_rate", "errors a step", ".3f"), ("length", "tokens", ".1f"), ("answer_steps", "lines", ".2f"),
               ("kl", "KL", ".4f"), ("entropy", "entropy", ".3f"), ("credit_share", "tokens with credit", ".2f"),
               ("asked", "judged an update", ".0f")]  # fmt: skip
    body = []
    for name, arm in of.items():
        passes = [f"{arm.pass_at(k):.3f}" for k in (1, 4, 16)] if arm.results[0].trial.pass_questions else [""] * 3
        body.append([f"`{name}`", *passes, *(f"{arm.last(column):{form}}" for column, _, form in columns)])
    return _table(["formula", "pass@1", "pass@4", "pass@16", *(title for _, title, _ in columns)], body)


def compute_table(of: dict[str, Replicates], base: Replicates) -> str:
    """What it costs to reach GRPO's best: answers sampled, answers judged, and seconds with the free oracle included."""
    goal = base.curves.mean(axis=0)[1:].max()
    body = []
    for name, arm in of.items():
        there = reaches(arm, goal)
        if there is None:
            body.append([f"`{name}`", "never", "", "", ""])
            continue
        until = [[row for row in result.rows[1:] if row["update"] <= there] for result in arm.results]
        every = arm.results[0].trial.evaluate_every
        judged = np.mean([sum(row["asked"] for row in rows) * every for rows in until])
        tokens, seconds = (np.mean([sum(row[c] for row in rows) for rows in until]) for c in ("tokens", "seconds"))
        body.append([f"`{name}`", str(there), f"{tokens / 1000:.0f}", f"{judged:.0f}", f"{seconds:.0f}"])
    return _table(["formula", "updates", "thousand tokens sampled", "answers judged", "seconds"], body)


def gradient_table(found: dict[str, Gradient]) -> str:
    """Instrument 1."""
    head = ["formula", "efficiency ÷ GRPO's [95 %]", "angle to ∇J", "of the mean", "noise", "tokens with credit"]
    ranked = sorted(found.items(), key=lambda item: -item[1].efficiency.value)
    body = [
        [f"`{name}`", f"{g.efficiency.value:.2f} [{g.efficiency.low:.2f}, {g.efficiency.high:.2f}]", f"{g.angle:.0f}°",
         f"{g.expected_angle:.0f}°", f"{g.noise:.2f}", f"{g.share:.2f}"]
        for name, g in ranked
    ]  # fmt: skip
    return _table(head, body)


def other_rates_table(found: dict[Trial, Replicates], start: Start) -> str:
    """Rates that were not chosen, where none was chosen; each against GRPO at the same one. Empty if there are none."""
    of = compared(found, start)
    body = []
    for key, arm in sorted(found.items(), key=lambda item: (item[0].learning_rate, item[0].credit)):
        if start == MAIN or start_of(key) != start or key.misjudged or varied(key):
            continue
        if not any(arm is other for other in of.values()):
            row = [f"`{key.credit}`", f"{key.learning_rate:g}", str(len(arm.results)), f"{arm.curves[:, -1].mean():.3f}"]
            base = _grpo_like(found, key)
            if base is None or base is arm:
                body.append([*row, "", ""])
            else:
                body.append([*row, _points(difference(arm, base)), _points(over_seeds(arm, base))])
    head = ["formula", "another rate", "seeds", "final", "final − GRPO's there [95 %]", "t over seeds"]
    return _table(head, body) if body else ""


def untouched_seeds_table(of: dict[str, Replicates], base: Replicates) -> str:
    """The comparison of ``MAIN`` on the seeds that chose no learning rate. Empty if there are none."""
    left = {name: Replicates([r for r in arm.results if r.trial.seed not in _TUNED_ON]) for name, arm in of.items()}
    there = left[BASE]
    body = [
        [f"`{name}`", str(len(arm.results)), _points(difference(arm, there)), _points(over_seeds(arm, there))]
        for name, arm in left.items()
        if arm.results and there.results and of[name] is not base
    ]
    head = ["formula, on seeds that chose no rate", "seeds", "final − GRPO's [95 %]", "t over seeds"]
    return _table(head, body) if body else ""


def misjudged_table(found: dict[Trial, Replicates], base: Replicates) -> str:
    """Formulas at their chosen rates with a judge that is wrong now and then, against GRPO."""
    shares = sorted({key.misjudged for key in found if key.misjudged})
    body = []
    for share in (0.0, *shares):
        for name, arm in compared(found, MAIN, share).items():
            if any(name in compared(found, MAIN, other) for other in shares):
                final = arm.curves[:, -1].mean()
                body.append(
                    [f"`{name}`", f"{share:.0%}", str(len(arm.results)), f"{final:.3f}", _points(difference(arm, base))]
                )
    return _table(["formula", "verdicts moved", "seeds", "final", "final − GRPO's [95 %]"], body)


def varied(trial: Trial) -> dict[str, float]:
    """The settings that the protocol fixes and this trial has otherwise."""
    return {name: getattr(trial, name) for name in _FIXED if getattr(trial, name) != getattr(_USUAL, name)}


def variants_table(found: dict[Trial, Replicates]) -> str:
    """Trials with a setting that the protocol fixes, each against GRPO at the same budget, KL weight and rate."""
    body = []
    for key, arm in sorted(found.items(), key=lambda item: (str(varied(item[0])), item[0].credit)):
        if not varied(key):
            continue
        base = _grpo_like(found, key)
        what = ", ".join(f"{_FIXED[name]} {value:g}" for name, value in varied(key).items())
        against = _points(difference(arm, base)) if base and base is not arm else ""
        final = arm.curves[:, -1].mean()
        body.append([what, f"`{key.credit}`", str(key.updates), str(len(arm.results)), f"{final:.3f}", against])
    return _table(["changed", "formula", "updates", "seeds", "final", "final − GRPO's [95 %]"], body)


def _grpo_like(found: dict[Trial, Replicates], key: Trial) -> Replicates | None:
    return next((arm for other, arm in found.items() if other.credit == BASE and _budget(other) == _budget(key)), None)


def _budget(key: Trial) -> tuple[object, ...]:
    """What a formula and GRPO must share to be compared."""
    return start_of(key), key.learning_rate, key.beta, key.batch_size, key.updates


def _in_grid(key: Trial) -> bool:
    return start_of(key) == MAIN and not key.misjudged and not varied(key)


def _on_grid(arm: Replicates) -> float | None:
    finals = [r.accuracies[-1] for r in arm.results if r.trial.seed in _TUNED_ON]
    return float(np.mean(finals)) if len(finals) == len(_TUNED_ON) else None


def _points(estimate: Estimate) -> str:
    if np.isnan(estimate.low):  # one seed
        return ""
    return f"{100 * estimate.value:+.1f} [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}]"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
