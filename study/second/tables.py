"""The second part's tables, in Markdown."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cal_grpo.intervals import Estimate, mean
from study.many import Rows
from study.second.arm import Trial

_HIGHER = 0.1  # the least that a target lies above GRPO's start


@dataclass(frozen=True)
class Trained:
    """A trial's settings, trained from several seeds.

    Attributes:
        key: the settings, seed 0.
        rows: by seed, see ``training.run``.
    """

    key: Trial
    rows: Mapping[int, Rows]

    @property
    def label(self) -> str:
        """The arm, with its number of updates where that is not the study's."""
        updates = "" if self.key.updates == Trial.__dataclass_fields__["updates"].default else f", {self.key.updates} updates"
        return f"`{self.key.arm}`{updates}"

    @property
    def updates(self) -> list[int]:
        """At which it was evaluated, the first 0."""
        return [row["update"] for row in next(iter(self.rows.values()))]

    @property
    def curves_SE(self) -> np.ndarray:
        """Greedy held-out accuracy, float64 (seeds, evaluations), in the order of the seeds."""
        return np.array([[row["held_out"].mean() for row in self.rows[seed]] for seed in sorted(self.rows)])

    @property
    def sampled_S(self) -> np.ndarray:
        """Accuracy of the answers that were sampled at the end, float64 (seeds,)."""
        samples = self.key.samples
        return np.array([np.mean(self.rows[seed][-1]["right_of_k"]) / samples for seed in sorted(self.rows)])

    def spent(self, column: str) -> np.ndarray:
        """What was spent of something before each evaluation, float64 (evaluations,), a mean over seeds."""
        return np.mean([np.cumsum([row.get(column, 0.0) for row in rows]) for rows in self.rows.values()], axis=0)


def gathered(done: Mapping[Trial, Rows]) -> list[Trained]:
    """Results of the same settings together."""
    groups: dict[Trial, dict[int, Rows]] = defaultdict(dict)
    for trial, rows in done.items():
        groups[trial.key][trial.seed] = rows
    return [Trained(key, rows) for key, rows in groups.items()]


def target(base: Sequence[Trained]) -> float:
    """The larger of GRPO's best mean accuracy, whatever its layout and rate, and its start + 10 points."""
    best = max(float(one.curves_SE.mean(axis=0).max()) for one in base)
    return max(best, float(base[0].curves_SE[:, 0].mean()) + _HIGHER)


def reaches(one: Trained, accuracy: float) -> int | None:
    """The update from which on the mean curve held the accuracy at two evaluations in a row; None if it never did."""
    above = one.curves_SE.mean(axis=0) >= accuracy
    return next((u for u, now, then in zip(one.updates, above, above[1:], strict=False) if now and then), None)


def differences(one: Trained, other: Trained) -> tuple[Estimate, float, Estimate, float]:
    """Final greedy and sampled accuracy minus the other's, paired by seed: Student's t interval and p-value of each."""
    seeds = sorted(set(one.rows) & set(other.rows))
    pick = [[sorted(t.rows).index(seed) for seed in seeds] for t in (one, other)]
    greedy = one.curves_SE[pick[0], -1] - other.curves_SE[pick[1], -1]
    sampled = one.sampled_S[pick[0]] - other.sampled_S[pick[1]]
    return mean(greedy.tolist()), _p(greedy), mean(sampled.tolist()), _p(sampled)


def _p(values: np.ndarray) -> float:
    return float(stats.ttest_1samp(values, 0.0).pvalue) if len(values) > 1 and values.std() > 0 else float("nan")


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979), in the order given."""
    order, adjusted, highest = np.argsort(p_values), [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def curves_table(found: Sequence[Trained], goal: float) -> str:
    """How each arm learned, the best first."""
    longest = max(found, key=lambda one: len(one.updates))
    head = ["arm", "rate", "seeds", *map(str, longest.updates), "sampled", "target from"]
    body = []
    for one in sorted(found, key=lambda one: -float(one.curves_SE.mean(axis=0)[-1])):
        by_update = dict(zip(one.updates, one.curves_SE.mean(axis=0), strict=True))
        there = reaches(one, goal)
        body.append(
            [
                one.label,
                f"{one.key.learning_rate:g}",
                str(len(one.rows)),
                *(f"{by_update[u]:.3f}" if u in by_update else "" for u in longest.updates),
                f"{one.sampled_S.mean():.3f}",
                "never" if there is None else str(there),
            ]
        )
    return table(head, body)


def spent_table(found: Sequence[Trained]) -> str:
    """What each arm spent, in thousands, and how its answers went."""
    columns = ["tokens", "trained_tokens", "judge_tokens", "judged"]
    head = ["arm", "rate", "sampled", "trained", "written by the judge", "judged", "tokens an answer",
            "sum of a wrong answer's credit", "KL", "seconds"]  # fmt: skip
    body = []
    for one in found:
        last = [rows[-1] for rows in one.rows.values()]

        def end(name: str, last: list[dict[str, float]] = last) -> float:
            return float(np.mean([row.get(name, 0.0) for row in last]))

        spent = [f"{one.spent(c)[-1] / 1000:.1f}" for c in columns]
        went = [f"{end('length'):.1f}", f"{end('credit_sum_wrong'):.2f}", f"{end('kl'):.4f}"]
        name = [one.label, f"{one.key.learning_rate:g}"]
        body.append([*name, *spent, *went, f"{one.spent('seconds')[-1]:.0f}"])
    return table(head, body)


def equal_table(found: Sequence[Trained], base: Trained | None = None) -> str:
    """Each arm at the same sum of trained and judge-written tokens, within 1 %: the base's, or the least that an arm spent.

    One that spent less in all is shown at its end.
    """
    spent = [_dear(one) for one in found]
    least = min(float(tokens[-1]) for tokens in (spent if base is None else [_dear(base)]))
    head = ["arm", "rate", "seeds", "update", "thousand tokens", f"greedy at {least / 1000:.0f} thousand"]
    body = []
    for one, tokens in zip(found, spent, strict=True):
        at = int(np.searchsorted(tokens, 1.01 * least, side="right")) - 1
        name = [one.label, f"{one.key.learning_rate:g}", str(len(one.rows))]
        body.append([*name, str(one.updates[at]), f"{tokens[at] / 1000:.0f}", f"{one.curves_SE[:, at].mean():.3f}"])
    return table(head, body)


def seeds_table(found: Sequence[Trained]) -> str:
    """Where each seed ended, how many stood below their start at some evaluation, and the lowest of all evaluations."""
    body = []
    for one in found:
        ends, later_SE = one.curves_SE[:, -1], one.curves_SE[:, 1:]
        below = (later_SE.min(axis=1) < one.curves_SE[:, 0]).sum()
        numbers = [", ".join(f"{end:.3f}" for end in ends), f"{below} of {len(ends)}", f"{later_SE.min():.3f}"]
        body.append([one.label, f"{one.key.learning_rate:g}", *numbers])
    return table(["arm", "rate", "end of each seed", "below the start on the way", "lowest"], body)


def _dear(one: Trained) -> np.ndarray:
    return one.spent("trained_tokens") + one.spent("judge_tokens")


def against_table(found: Sequence[Trained], base: Trained, primary: Trained | None = None) -> str:
    """Each arm's final accuracy minus the base's, in points, over the seeds of both.

    The p-values of a ``primary`` arm, two measures, are Holm's.
    """
    body = []
    for one in found:
        if one is not base:
            greedy, p, sampled, p_sampled = differences(one, base)
            ps = holm([p, p_sampled]) if one is primary else [p, p_sampled]
            numbers = [
                str(len(set(one.rows) & set(base.rows))),
                points(greedy),
                f"{ps[0]:.3g}",
                points(sampled),
                f"{ps[1]:.3g}",
            ]
            body.append([one.label, f"{one.key.learning_rate:g}", *numbers])
    name = f"{base.label} at {base.key.learning_rate:g}"
    return table(["arm", "rate", "seeds", f"greedy − {name} [95 %, t]", "p", "sampled − its", "p"], body)


def points(estimate: Estimate) -> str:
    """A difference of shares, in points, with its interval."""
    return f"{100 * estimate.value:+.1f} [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}]"


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body)])
