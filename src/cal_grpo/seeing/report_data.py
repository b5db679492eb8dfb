"""What the report's script reads: rollouts and curves as JSON that holds no HTML and no number that JSON lacks."""

import json
import random
from collections.abc import Sequence
from typing import Any

from cal_grpo.seeing.curves import Curve, measured
from cal_grpo.seeing.drawing import COLOURS, Chart, frame
from cal_grpo.seeing.finite import finite
from cal_grpo.seeing.rollout import Rollout
from cal_grpo.seeing.run import Run

_LONGEST = {
    "response": 20_000,
    "reference": 20_000,
    "question": 5_000,
    "critique": 5_000,
    "short": 200,
}  # characters; the rest is cut


def page_data(runs: Sequence[Run], charts: Sequence[tuple[Curve, Chart]], limit: int) -> dict[str, Any]:
    """Runs by name, questions and references once each, charts' numbers, and at most ``limit`` rollouts, drawn evenly."""
    rollouts = [(number, rollout) for number, run in enumerate(runs) for rollout in run.rollouts]
    if len(rollouts) > limit:
        kept = sorted(random.Random("report/rollouts").sample(range(len(rollouts)), limit))
        rollouts = [rollouts[i] for i in kept]
    questions: dict[str, int] = {}
    references: dict[str, int] = {}
    for _, rollout in rollouts:
        questions.setdefault(rollout.question, len(questions))
        references.setdefault(rollout.reference, len(references))
    sizes = sorted(abs(a) for _, r in rollouts for value, _ in r.advantages if (a := finite(value)) is not None and a)
    return {
        "runs": [run.name for run in runs],
        "colours": COLOURS,
        # The strongest colour is for all but the last few: one huge advantage must not pale all others.
        "scale": sizes[int(0.99 * (len(sizes) - 1))] if sizes else 1.0,
        "questions": [_cut(question, "question") for question in questions],
        "references": [_cut(reference, "reference") for reference in references],
        "rollouts": [
            _record(number, rollout) | {"question": questions[rollout.question], "reference": references[rollout.reference]}
            for number, rollout in rollouts
        ],
        "charts": [_chart(curve, chart, runs) for curve, chart in charts],
    }


def as_script(data: dict[str, Any]) -> str:
    """JSON for a ``<script>`` element: nothing in it can end the element or begin another."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _record(number: int, rollout: Rollout) -> dict[str, Any]:
    pieces, left = [], _LONGEST["response"]
    for piece in rollout.pieces():
        if left <= 0:
            break
        start, end = piece.tokens or (None, None)
        advantage = None if piece.advantage is None else finite(piece.advantage)
        pieces.append([piece.text[:left], advantage, int(piece.blamed), start, end])
        left -= len(piece.text)
    verdict, span = rollout.verdict, rollout.span
    known = [(value, count) for value, count in rollout.advantages if finite(value) is not None]
    tokens = sum(count for _, count in known)
    return {
        "run": number,
        "step": rollout.step,
        "row": rollout.row,
        "correct": rollout.correct,
        "outcome": _cut(rollout.outcome, "short"),
        "extracted": rollout.extracted and _cut(rollout.extracted, "short"),
        "expected": rollout.expected and _cut(rollout.expected, "short"),
        "reward": finite(rollout.reward),
        "tokens": rollout.tokens,
        "mean": finite(sum(value * count for value, count in known) / tokens) if tokens else None,
        "pieces": pieces,
        "cut": max(0, len(rollout.response) - _LONGEST["response"]),
        "span": span and [*span.tokens, _cut(span.method, "short"), finite(span.score)],
        "verdict": verdict
        and {
            "tag": _cut(verdict.tag, "short"),
            "critique": _cut(verdict.critique, "critique"),
            "segment": _cut(verdict.segment, "critique"),
            "confidence": finite(verdict.confidence),
            "missed": verdict.missed and _cut(verdict.missed, "short"),
            "correction": verdict.correction and _cut(verdict.correction, "response"),
            "copied": bool(verdict.copies_reference),
        },
    }


def _cut(text: str, kind: str) -> str:
    longest = _LONGEST[kind]
    return text if len(text) <= longest else f"{text[:longest]}… {len(text) - longest:,} more characters"


def _chart(curve: Curve, chart: Chart, runs: Sequence[Run]) -> dict[str, Any]:
    series = [{"name": name, "points": points} for run in runs for name, points in measured(curve, run)]
    return frame(chart) | {"unit": chart.unit, "series": series}
