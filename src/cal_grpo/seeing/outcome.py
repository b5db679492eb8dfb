"""Did it work? Accuracy before and after, and what a person should not overlook."""

from collections.abc import Sequence
from typing import NamedTuple

from cal_grpo.intervals import Estimate, paired_difference, share
from cal_grpo.seeing.comparison import pair
from cal_grpo.seeing.run import Run

_FEW_SPANS, _MANY_FAILED, _MANY_CUT = 0.5, 0.05, 0.1
_FAILURES = frozenset(
    {"rejected", "refused", "rate_limited", "timeout", "unavailable", "malformed", "over_budget", "circuit_open"}
)


class Outcome(NamedTuple):
    """What became of the held-out accuracy.

    Attributes:
        before, after: shares of right answers with Wilson's interval; None where nothing was asked.
        gain: after minus before on the same questions, with Newcombe's interval.
        questions: how many were asked in the end.
        word: ``better``, ``worse``, ``no difference can be told`` or why there is nothing to tell.
    """

    before: Estimate | None
    after: Estimate | None
    gain: Estimate | None
    questions: int
    word: str


def outcome(run: Run) -> Outcome:
    """The run's answer to whether it worked, as far as its own held-out questions can tell."""
    before, after = run.answers.get("before") or [], run.answers.get("after") or []
    shares = [share(sum(a.correct for a in answers), len(answers)) if answers else None for answers in (before, after)]
    counts = pair(after, before)
    gain = paired_difference(*counts) if sum(counts) else None
    if gain is None:
        word = "not measured after training" if before and not after else "not measured"
    elif gain.low > 0:
        word = "better"
    elif gain.high < 0:
        word = "worse"
    else:
        word = "no difference can be told"
    return Outcome(shares[0], shares[1], gain, len(after) or len(before), word)


def warnings_of(run: Run) -> list[str]:
    """What makes a run's figures say less than they seem to, in a line each."""
    warnings = []
    if run.state != "finished":
        warnings.append(f"{run.state} after {run.steps:,} updates")
    asked, found = run.total("cal/asked"), run.total("cal/found")
    if asked and found / asked < _FEW_SPANS:
        warnings.append(f"few spans: on {found / asked:.0%} of the {asked:,.0f} judged answers; see Misses for why")
    failed = {reason: count for reason, count in run.missed.items() if reason in _FAILURES}
    if asked and sum(failed.values()) / asked > _MANY_FAILED:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in failed.items())
        warnings.append(f"the judge failed on {sum(failed.values()) / asked:.0%} of what it was asked ({reasons})")
    last = run.metrics[-max(1, len(run.metrics) // 10) :]
    if (cut := _mean([row["cal/cut_share"] for row in last if "cal/cut_share" in row])) > _MANY_CUT:
        warnings.append(f"{cut:.0%} of the last answers were cut off; raise rollout.max_new_tokens")
    accuracies = [row["accuracy"] for row in run.metrics if "accuracy" in row]
    if accuracies and (max(accuracies) == 0 or min(accuracies) == 1):
        which = "wrong" if max(accuracies) == 0 else "right"
        warnings.append(f"every answer in training was {which}: a group without a difference teaches little")
    notes = (run.summary or {}).get("notes")
    return [*warnings, *(note for note in notes if isinstance(note, str))] if isinstance(notes, list) else warnings


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
