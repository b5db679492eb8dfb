"""Differences between formulas, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cal_grpo.grading import pass_at_k
from cal_grpo.intervals import Estimate, mean, of_draws, two_way_mean
from study.gradient import Measurement
from study.stored import Result


@dataclass(frozen=True)
class Replicates:
    """One formula at one setting, trained from several seeds.

    Attributes:
        results: in the order of their seeds.
    """

    results: Sequence[Result]

    @property
    def seeds(self) -> list[int]:
        return [result.trial.seed for result in self.results]

    @property
    def updates(self) -> np.ndarray:
        """int64 (evaluations,)."""
        return np.array([int(row["update"]) for row in self.results[0].rows])

    @property
    def curves(self) -> np.ndarray:
        """float64 (seeds, evaluations): held-out accuracy."""
        return np.stack([result.accuracies for result in self.results])

    def last(self, column: str) -> float:
        """A column's value over the updates before the last evaluation, averaged over seeds."""
        return float(np.mean([result.rows[-1][column] for result in self.results]))

    def pass_at(self, k: int) -> float:
        """Share of questions with a right answer among k, estimated from all samples."""
        rows = [result.rows[-1]["right_of_k"] for result in self.results]
        total = self.results[0].trial.pass_k
        return float(np.mean([pass_at_k(total, int(right), k) for row in rows for right in row]))

    def collapsed(self) -> int:
        """Seeds whose final accuracy is below half of their first."""
        return int((self.curves[:, -1] < self.curves[:, 0] / 2).sum())


def best(arm: Replicates) -> float:
    """The best evaluation after the start, averaged over seeds."""
    return float(arm.curves[:, 1:].max(axis=1).mean())


def reaches(arm: Replicates, accuracy: float) -> int | None:
    """The first evaluated update at which the mean curve is as good; None if it never is."""
    mean = arm.curves.mean(axis=0)
    there = [int(update) for update, value in zip(arm.updates[1:], mean[1:], strict=True) if value >= accuracy]
    return there[0] if there else None


def difference(arm: Replicates, base: Replicates) -> Estimate:
    """Final accuracy minus the other's, paired by seed and held-out question; both are resampled."""
    return two_way_mean(_gains(arm, base))


def over_seeds(arm: Replicates, base: Replicates) -> Estimate:
    """The same difference with Student's t interval over the seeds alone, for these held-out questions."""
    return mean(_gains(arm, base).mean(axis=1).tolist())


def _gains(arm: Replicates, base: Replicates) -> np.ndarray:
    """float64 (seeds, questions): what each final answer gained, -1, 0 or 1, for the seeds that both have."""
    shared = sorted(set(arm.seeds) & set(base.seeds))
    final = {id(a): {r.trial.seed: r.rows[-1]["held_out"] for r in a.results} for a in (arm, base)}
    return np.stack([final[id(arm)][s].astype(float) - final[id(base)][s] for s in shared])


@dataclass(frozen=True)
class Gradient:
    """What is said of one formula's gradients: efficiency relative to GRPO, and without intervals the angle in degrees of
    one batch's gradient and of the expected one to ∇J, the share of ``E|g|²`` that is noise, and of tokens with credit.
    """

    efficiency: Estimate
    angle: float
    expected_angle: float
    noise: float
    share: float


def gradients(
    measured: dict[str, Measurement], gram_KK: np.ndarray, base: str = "grpo", draws: int = 2000
) -> dict[str, Gradient]:
    """Every formula's numbers. Batches, and the estimates of ∇J, are resampled; the same draws for all formulas."""
    batches, estimates = measured[base].dots_NK.shape
    rng = np.random.default_rng(0)
    picks = [(_drawn(rng, batches), _drawn(rng, estimates)) for _ in range(draws)]

    def efficiency(m: Measurement, rows: np.ndarray, columns: np.ndarray) -> float:
        return float(m.dots_NK[np.ix_(rows, columns)].mean() ** 2 / m.squares_N[rows].mean())

    everything = np.arange(batches), np.arange(estimates)
    norm = np.sqrt((gram_KK.sum() - np.trace(gram_KK)) / (estimates * (estimates - 1)))
    found = {}
    for name, m in measured.items():
        ratios = [efficiency(m, *pick) / efficiency(measured[base], *pick) for pick in picks]
        whole = efficiency(m, *everything) / efficiency(measured[base], *everything)
        expected = max(2 * m.before_N.sum() / (batches * (batches - 1)), 1e-30)
        along = m.dots_NK.mean() / norm
        found[name] = Gradient(
            of_draws(whole, ratios),
            angle=_degrees(along / np.sqrt(m.squares_N.mean())),
            expected_angle=_degrees(along / np.sqrt(expected)),
            noise=float(1 - expected / m.squares_N.mean()),
            share=float(m.shares_N.mean()),
        )
    return found


def _drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.asarray(rng.integers(0, count, count))


def _degrees(cosine: float) -> float:
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
