"""How good an oracle is: its verdicts, mapped as training maps them, beside the labels of people."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cal_grpo.intervals import Estimate, normal_mean, share
from cal_grpo.oracles.bench.labelled import Labelled
from cal_grpo.oracles.types import Verdict

Rate = dict[str, float | None]
"""A share in [0, 1] as ``value``, ``low`` and ``high``; all None where there was nothing to count."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """What an oracle said about one row.

    Attributes:
        row: the label and what it is about.
        verdict: as it came.
        step: index of the step that holds the quote; None when there is none.
        span: half-open characters of the response that the quote was mapped to.
        why_not: why there is no span: the verdict's tag, ``unsure``, or ``quote_`` and the mapping's reason.
        blamed, labelled, shared: tokens of the quote, of the labelled step, and of both.
        latency_s: seconds from asking to the verdict, retries included.
        corrected_right: whether the response, with the verdict's correction from the blamed step on, ends in the right answer;
            None where there is no correction, or the row has no answer.
    """

    row: Labelled
    verdict: Verdict
    step: int | None
    span: tuple[int, int] | None
    why_not: str | None
    blamed: int
    labelled: int
    shared: int
    latency_s: float
    corrected_right: bool | None = None

    @property
    def off_by(self) -> int | None:
        """Steps after the label, negative before it."""
        return None if self.step is None else self.step - self.row.first_error


def step_of(span: tuple[int, int], steps: Sequence[tuple[int, int]]) -> int:
    """The step that shares most characters with a span, the first of equals; between steps, the nearest."""

    def closeness(i: int) -> tuple[int, int]:
        (start, end), shared = steps[i], min(span[1], steps[i][1]) - max(span[0], steps[i][0])
        return max(shared, 0), -max(start - span[0], span[0] - end, 0)

    return max(range(len(steps)), key=closeness)


def bench_figures(judged: Sequence[BenchResult]) -> dict[str, Any]:
    """The figures of a bench, as ``--json`` prints them; each rate is ``{"value", "low", "high"}`` in [0, 1].

    Rates are over rows, each a person's label; their intervals count solutions, because labels of one solution are not
    independent.
    """
    n, solutions = len(judged), len({j.row.solution for j in judged})
    per_row = solutions / n if n else 1.0
    answered = [j for j in judged if j.step is not None]
    offs = [off for j in answered if (off := j.off_by) is not None]

    def of_rows(count: float, rows: int = n) -> Rate:
        return rate(count, rows, rows * per_row)

    def mean_of(shares: Sequence[float]) -> Rate:
        return rounded(normal_mean(shares, round(len(shares) * per_row)) if shares else None)

    exact, not_later = sum(off == 0 for off in offs), sum(off <= 0 for off in offs)
    return {
        "n": n,
        "solutions": solutions,
        "exact": of_rows(exact),
        "not_later": of_rows(not_later),
        "within_one": of_rows(sum(abs(off) <= 1 for off in offs)),
        "early": of_rows(sum(off < 0 for off in offs)),
        "late": of_rows(sum(off > 0 for off in offs)),
        "abstained": of_rows(n - len(answered)),
        "abstained_why": dict(Counter(j.why_not for j in judged if j.why_not)),
        "precision_when_answering": of_rows(exact, len(answered)),
        "not_later_when_answering": of_rows(not_later, len(answered)),
        "surest_half": _surest_half(answered, n, per_row),
        "token_precision": mean_of([j.shared / j.blamed for j in answered]),
        "token_recall": mean_of([j.shared / j.labelled for j in answered]),
        "corrections": _corrections(answered, per_row),
        "label_agreement": label_agreement([j.row for j in judged]),
        "floors": floors([j.row for j in judged], per_row),
        **_costs(judged),
    }


def _surest_half(answered: Sequence[BenchResult], n: int, per_row: float) -> dict[str, Any] | None:
    """Precision on the half of all rows where the oracle is surest, and the confidence that takes."""
    sure = [j for j in answered if j.verdict.confidence is not None]
    sure.sort(key=lambda j: -(j.verdict.confidence or 0.0))
    half = sure[: (n + 1) // 2]
    if len(half) < (n + 1) // 2:
        return None
    precision = rate(sum(j.off_by == 0 for j in half), len(half), len(half) * per_row)
    return {"precision": precision, "confidence_from": half[-1].verdict.confidence}


def _corrections(answered: Sequence[BenchResult], per_row: float) -> dict[str, Any] | None:
    """Of the verdicts with a place: how many have a correction, how many of these can be graded, and how many are right."""
    given = sum(bool(j.verdict.correction) for j in answered)
    graded = [j.corrected_right for j in answered if j.corrected_right is not None]
    if not given:
        return None
    right = rate(sum(graded), len(graded), len(graded) * per_row)
    return {"of": len(answered), "given": given, "graded": len(graded), "right": right}


def label_agreement(rows: Sequence[Labelled]) -> dict[str, Any]:
    """How often two labels of one solution agree: what any oracle can reach at most, about.

    ``pairs`` counts the pairs of labels; the intervals count the solutions that have several.
    """
    labels: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        labels[row.solution].append(row.first_error)
    several = [group for group in labels.values() if len(group) > 1]
    pairs = [(a, b) for group in several for i, a in enumerate(group) for b in group[i + 1 :]]
    return {
        "pairs": len(pairs),
        "exact": rate(sum(a == b for a, b in pairs), len(pairs), len(several)),
        "within_one": rate(sum(abs(a - b) <= 1 for a, b in pairs), len(pairs), len(several)),
    }


def floors(rows: Sequence[Labelled], per_row: float = 1.0) -> dict[str, Any]:
    """What costs no thought: a random step, and the one step number that is right most often."""
    n = len(rows)

    def of_rows(count: float) -> Rate:
        return rate(count, n, n * per_row)

    def near(row: Labelled) -> int:
        return min(row.first_error + 1, len(row.spans) - 1) - max(row.first_error - 1, 0) + 1

    hits = Counter(row.first_error for row in rows)
    step = min(hits, key=lambda k: (-hits[k], k)) if hits else 0
    guesses = [min(step, len(row.spans) - 1) - row.first_error for row in rows]
    return {
        "random": {
            "exact": of_rows(sum(1 / len(row.spans) for row in rows)),
            "not_later": of_rows(sum((row.first_error + 1) / len(row.spans) for row in rows)),
            "within_one": of_rows(sum(near(row) / len(row.spans) for row in rows)),
        },
        "constant": {
            "step": step,
            "exact": of_rows(sum(guess == 0 for guess in guesses)),
            "not_later": of_rows(sum(guess <= 0 for guess in guesses)),
            "within_one": of_rows(sum(abs(guess) <= 1 for guess in guesses)),
        },
    }


def _costs(judged: Sequence[BenchResult]) -> Mapping[str, Any]:
    """Of the calls that were made; an answer from a cache costs nothing."""
    paid = [j for j in judged if not j.verdict.cached]
    usages = [j.verdict.usage for j in paid]
    known = [usage.usd for usage in usages if usage.usd is not None]
    return {
        "calls": sum(usage.calls for usage in usages),
        "tokens": sum(usage.prompt_tokens + usage.completion_tokens for usage in usages),
        "usd": round(sum(known), 6) if len(known) == len(usages) else None,
        "latency_p50_s": round(percentile([j.latency_s for j in paid], 0.5), 6),
        "latency_p95_s": round(percentile([j.latency_s for j in paid], 0.95), 6),
    }


def rate(count: float, of: float, independent: float | None = None) -> Rate:
    """A share of what was counted, with Wilson's interval; see ``intervals.share``."""
    return rounded(share(min(count, of), of, independent) if of else None)  # a sum of fractions may be too large by rounding


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed; 0 without values."""
    return float(np.quantile(values, share, method="inverted_cdf")) if values else 0.0


def rounded(estimate: Estimate | None) -> Rate:
    """An estimate as ``--json`` prints it."""
    if estimate is None:
        return dict.fromkeys(Estimate._fields)
    return {name: round(number, 4) for name, number in estimate._asdict().items()}
