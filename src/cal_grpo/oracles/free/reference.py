"""The oracle that needs no model: where a response leaves the reference solution.

Both solutions are read as graphs of quantities: each result with the numbers it was computed from, down to those that the
question gives. A response's quantity is sound when the reference has it, by the same computation or from the same given
numbers in another order, or when it leads to something that the reference has. Steps that establish anything else are
suspect. Which step is blamed is then a matter of seventeen pieces of evidence, see ``cal_grpo.oracles.free.worked.evidence``,
weighed by a small model whose weights are in ``reference_weights.json`` (fitted by ``scripts/fit_reference_oracle.py``).
"""

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cal_grpo.grading import extract_answer, parse_number
from cal_grpo.oracles.free.worked import Evidence, gather, is_off, reference_graph
from cal_grpo.oracles.quote import quote
from cal_grpo.oracles.steps import hint_for, split_steps
from cal_grpo.oracles.types import Query, Tag, Verdict

_MAX_STEPS = 200  # of a response that are compared, from the start
_NEIGHBOURS = 0.5  # weight of a neighbour's probability; scripts/fit_reference_oracle.py shows what others do
_FOLLOWED = 0.98  # confidence where the reference is a running total
_NO_REASON = "every value before it is right, and the answer is not"


class ReferenceOracle:
    """Blames the step where a response most likely leaves the reference solution.

    Args:
        min_confidence: verdicts below it abstain. The confidence is the model's probability, in [0, 1], that this step is
            the first error.

    It abstains, too, on a response without numbers and on one that never diverges.
    """

    name = "reference"
    metered = free = True

    def __init__(self, min_confidence: float = 0.0) -> None:
        self.min_confidence = min_confidence
        self.identity = {"oracle": self.name, "version": "1", "min_confidence": f"{min_confidence:g}"}

    async def locate(self, query: Query) -> Verdict:
        return self.locate_now(query)

    def locate_now(self, query: Query) -> Verdict:
        """The verdict, without an event loop."""
        steps = split_steps(query.response)[:_MAX_STEPS]
        found = gather(query.question, query.reference, steps, query.response)
        if not any(e.statement.computations or e.statement.algebra or e.statement.mentions for e in found):
            return Verdict(Tag.ABSTAINED, critique="the response states no number that could be compared")
        if not any(e.reason for e in found) and _same_answer(query):
            return Verdict(Tag.ABSTAINED, critique="the response never leaves the reference solution")
        probabilities = _followed(found) if _is_bare(query) else _probabilities(found)
        blamed = likeliest(probabilities)
        critique, confidence = found[blamed].reason or _NO_REASON, round(probabilities[blamed], 3)
        if confidence < self.min_confidence:
            return Verdict(Tag.ABSTAINED, critique=critique, confidence=confidence)
        part = quote(steps[blamed], _focus(found[blamed]))
        return Verdict(Tag.FOUND, critique, part.text, hint_for(query.response, part), confidence)


def _is_bare(query: Query) -> bool:
    return reference_graph(query.question, query.reference).is_bare


def _followed(found: list[Evidence]) -> list[float]:
    """A reference of bare equations, a running total, is to be followed line by line: the first that leaves it is wrong."""
    first = next((i for i, e in enumerate(found) if e.reason), None)
    if first is None:
        return _probabilities(found)
    rest = (1 - _FOLLOWED) / max(1, len(found) - 1)
    return [_FOLLOWED if i == first else rest for i in range(len(found))]


def _probabilities(found: list[Evidence]) -> list[float]:
    weights = _weights()
    scores = [sum(weights[name] * value for name, value in e.features.items()) for e in found]
    highest = max(scores)
    shares = [math.exp(score - highest) for score in scores]
    return [share / sum(shares) for share in shares]


def likeliest(probabilities: Sequence[float], neighbours: float = _NEIGHBOURS) -> int:
    """The step with most probability on it and, at less weight, on its neighbours: being one off is better than far off."""
    padded = [0.0, *probabilities, 0.0]
    near = [padded[i] + neighbours * (padded[i - 1] + padded[i + 1]) for i in range(1, len(padded) - 1)]
    return max(range(len(near)), key=near.__getitem__)


@cache
def _weights() -> dict[str, float]:
    weights: dict[str, float] = json.loads(Path(__file__).with_name("reference_weights.json").read_text())
    return weights


def _focus(evidence: Evidence) -> tuple[int, int] | None:
    """The characters of the step's computation that is off, else of its first."""
    computed = [q for q in evidence.quantities if q.end]
    chosen = next((q for q in computed if is_off(q)), computed[0] if computed else None)
    return (chosen.start, chosen.end) if chosen else None


def _same_answer(query: Query) -> bool:
    response, reference = (parse_number(extract_answer(text) or "") for text in (query.response, query.reference))
    return response is not None and response == reference
