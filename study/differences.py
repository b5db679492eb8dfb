"""Differences between formulas, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cal_grpo.intervals import Estimate, mean
from study.gradient import Measurement
from study.stored import Result

DRAWS = 10_000


@dataclass(frozen=True)
class Arm:
    """One formula at one setting: its results by seed.

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
        """Share of questions with a right answer among k, estimated without bias from all samples (arXiv 2107.03374)."""
        rows = [result.rows[-1]["right_of_k"] for result in self.results]
        total = self.results[0].trial.pass_k
        values = [1 - np.prod((total - right - np.arange(k)).clip(0) / (total - np.arange(k))) for row in rows for right in row]
        return float(np.mean(values))

    def collapsed(self) -> int:
        """Seeds whose final accuracy is below half of their first."""
        return int((self.curves[:, -1] < self.curves[:, 0] / 2).sum())


def best(arm: Arm) -> float:
    """The best evaluation after the start, averaged over seeds."""
    return float(arm.curves[:, 1:].max(axis=1).mean())


def reaches(arm: Arm, accuracy: float) -> int | None:
    """The first evaluated update at which the mean curve is as good; None if it never is."""
    mean = arm.curves.mean(axis=0)
    there = [int(update) for update, value in zip(arm.updates[1:], mean[1:], strict=True) if value >= accuracy]
    return there[0] if there else None


def difference(arm: Arm, base: Arm) -> Estimate:
    """Final accuracy minus the other's, paired by seed and held-out question; both are resampled."""
    gains_SQ = _gains(arm, base)
    seeds_DS, questions_DQ = _resampled(*gains_SQ.shape)
    means_D = ((seeds_DS @ gains_SQ) * questions_DQ).sum(axis=1) / gains_SQ.size
    return Estimate(float(gains_SQ.mean()), *map(float, np.percentile(means_D, [2.5, 97.5])))


def over_seeds(arm: Arm, base: Arm) -> Estimate:
    """The same difference with Student's t interval over the seeds alone, for these held-out questions."""
    return mean(_gains(arm, base).mean(axis=1).tolist())


def _gains(arm: Arm, base: Arm) -> np.ndarray:
    """float64 (seeds, questions): what each final answer gained, -1, 0 or 1, for the seeds that both have."""
    shared = sorted(set(arm.seeds) & set(base.seeds))
    final = {id(a): {r.trial.seed: r.rows[-1]["held_out"] for r in a.results} for a in (arm, base)}
    return np.stack([final[id(arm)][s].astype(float) - final[id(base)][s] for s in shared])


@lru_cache(maxsize=8)  # all comparisons of a table have one of a few shapes
def _resampled(seeds: int, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each draw takes each seed and each question: float64 (DRAWS, seeds), (DRAWS, questions)."""
    rng = np.random.default_rng(0)
    drawn_Q, drawn_S = np.empty((DRAWS, questions)), np.empty((DRAWS, seeds))
    for draw in range(DRAWS):
        drawn_Q[draw] = np.bincount(rng.integers(0, questions, questions), minlength=questions)
        drawn_S[draw] = np.bincount(rng.integers(0, seeds, seeds), minlength=seeds)
    return drawn_S, drawn_Q


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
            Estimate(whole, *map(float, np.percentile(ratios, [2.5, 97.5]))),
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
