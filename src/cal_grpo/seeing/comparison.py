"""Which setting answers more held-out questions, and how sure is that?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cal_grpo.intervals import Estimate, mean, paired_difference, share
from cal_grpo.seeing.arms import Arm, arms_of, pairs_of
from cal_grpo.seeing.comparable import incomparable
from cal_grpo.seeing.finite import finite
from cal_grpo.seeing.run import Answer, Run


@dataclass(frozen=True)
class Paired:
    """Two runs on the questions that both were asked.

    Attributes:
        run, baseline: names.
        questions: in both.
        asked: in the one that was asked more.
        gained, lost: questions that only the run, or only the baseline, answered rightly.
        difference: share of right answers, run minus baseline.
    """

    run: str
    baseline: str
    questions: int
    asked: int
    gained: int
    lost: int
    difference: Estimate


@dataclass(frozen=True)
class Row:
    """One setting.

    Attributes:
        label, runs: the setting, and its runs' names.
        before, after: held-out accuracy; of several runs the mean over seeds.
        gain: after minus before, on the same questions.
        difference: after, minus the first row's after; None in the first row and where nothing can be paired.
        over: what the interval of ``difference`` is over, ``256 questions`` or ``3 seeds``.
        pairs: what ``difference`` was made from.
        final: means over the last tenth of the updates, and totals; of several runs the mean.
    """

    label: str
    runs: list[str]
    before: Estimate | None
    after: Estimate | None
    gain: Estimate | None
    difference: Estimate | None
    over: str
    pairs: list[Paired]
    final: dict[str, float | None]


@dataclass(frozen=True)
class Comparison:
    """A row a setting, the first being the baseline; ``notes`` say what could not be compared."""

    rows: list[Row]
    arms: list[Arm]
    notes: list[str]

    def record(self) -> dict[str, Any]:
        """As JSON; an interval that is not known is null."""
        rows = [{key: _plain(value) for key, value in asdict(row).items()} for row in self.rows]
        return {"baseline": self.rows[0].label, "rows": rows, "notes": self.notes}


def compare(runs: Sequence[Run]) -> Comparison:
    """Settings beside the first one's.

    One run a setting: Wilson's interval for an accuracy and Newcombe's for a paired difference, both over questions. The
    training's own chance is not in them. Several seeds: Student's t over the seeds' values, each paired by question.
    """
    arms = arms_of(runs)
    rows = [_row(arm, arms[0] if number else None) for number, arm in enumerate(arms)]
    notes = [*incomparable(runs, held_out=False), *(f"{run.name}: {note}" for run in runs for note in run.notes)]
    notes += [f"{run.name}: {run.state} after {run.steps} updates" for run in runs if run.state != "finished"]
    notes += [f"{run.name}: no held-out answers after training" for run in runs if not run.answers.get("after")]
    for row in rows[1:]:
        if row.after is not None and rows[0].after is not None and not row.pairs:
            notes.append(f"{row.label}: no held-out question in common with the baseline")
        notes += [
            f"{p.run}: {p.questions} of {p.asked} questions in common with {p.baseline}"
            for p in row.pairs
            if p.questions < p.asked
        ]
    return Comparison(rows, arms, notes)


def pair(first: Sequence[Answer], second: Sequence[Answer]) -> tuple[int, int, int, int]:
    """Questions that both, only the first, only the second, and neither answered rightly; others are left out.

    A question that was asked twice is two questions.
    """
    right = [{key: answer.correct for key, answer in _numbered(answers)} for answers in (first, second)]
    counts = Counter((right[0][key], right[1][key]) for key in right[0].keys() & right[1].keys())
    return counts[True, True], counts[True, False], counts[False, True], counts[False, False]


def _numbered(answers: Sequence[Answer]) -> list[tuple[tuple[str, int], Answer]]:
    seen: Counter[str] = Counter()
    keyed = []
    for answer in answers:
        keyed.append(((answer.question, seen[answer.question]), answer))
        seen[answer.question] += 1
    return keyed


def _row(arm: Arm, baseline: Arm | None) -> Row:
    pairs = [] if baseline is None else [p for a, b in pairs_of(arm, baseline) if (p := _paired(a, b)) is not None]
    gains = [
        paired_difference(*counts)
        for run in arm.runs
        if sum(counts := pair(run.answers.get("after", []), run.answers.get("before", [])))
    ]
    over = f"{pairs[0].questions:,} questions" if len(pairs) == 1 else f"{len(pairs)} seeds" if pairs else ""
    return Row(
        label=arm.label,
        runs=[run.name for run in arm.runs],
        before=_accuracy(arm.runs, "before"),
        after=_accuracy(arm.runs, "after"),
        gain=_over_runs(gains),
        difference=_over_runs([p.difference for p in pairs]),
        over=over,
        pairs=pairs,
        final={name: _mean([_final(run)[name] for run in arm.runs]) for name in _final(arm.runs[0])},
    )


def _paired(run: Run, baseline: Run) -> Paired | None:
    ours, theirs = run.answers.get("after", []), baseline.answers.get("after", [])
    counts = pair(ours, theirs)
    if not sum(counts):
        return None
    _, gained, lost, _ = counts
    asked = max(len(ours), len(theirs))
    return Paired(run.name, baseline.name, sum(counts), asked, gained, lost, paired_difference(*counts))


def _accuracy(runs: Sequence[Run], when: str) -> Estimate | None:
    graded = [answers for run in runs if (answers := run.answers.get(when))]
    shares = [share(sum(a.correct for a in answers), len(answers)) for answers in graded]
    # Runs that start from one policy agree before training: their spread over seeds is none, and no interval.
    return _over_runs(shares[:1] if len(set(shares)) == 1 else shares)


def _over_runs(estimates: Sequence[Estimate]) -> Estimate | None:
    """One run's own interval, or the interval over the seeds."""
    if not estimates:
        return None
    return estimates[0] if len(estimates) == 1 else mean([e.value for e in estimates])


def _final(run: Run) -> dict[str, float | None]:
    last = run.metrics[-max(1, len(run.metrics) // 10) :]
    figures: dict[str, float | None] = {
        name: _mean([row.get(name) for row in last]) for name in ("accuracy", "kl", "entropy", "tokens_mean")
    }
    summary = run.summary or {}
    oracle = summary["oracle"] if isinstance(summary.get("oracle"), dict) else {}
    figures["updates"] = run.steps
    figures["oracle_calls"] = finite(oracle.get("calls"))
    figures["usd"] = finite(oracle.get("usd"))
    figures["wall_s"] = finite(summary.get("wall_s"))
    return figures


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return {name: finite(number) for name, number in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
