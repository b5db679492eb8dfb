"""The oracle that needs no model: where a response leaves the reference solution.

Both solutions are read as graphs of quantities: each result with the numbers it was computed from, down to those that the
question gives. A response's quantity is sound when the reference has it, by the same computation or from the same given
numbers in another order, or when it leads to something that the reference has. Steps that establish anything else are
suspect. Which step is blamed is then a matter of twenty-one pieces of evidence, see ``cal_grpo.oracles.free.worked.evidence``,
weighed by a small model whose weights are in ``reference_weights.json`` (fitted by ``scripts/fit_reference_oracle.py``).
"""

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cal_grpo.grading import extract_answer, parse_number
from cal_grpo.oracles.corrections import with_correction
from cal_grpo.oracles.free.arithmetic import ArithmeticOracle
from cal_grpo.oracles.free.continuation import continuation
from cal_grpo.oracles.free.worked import Evidence, gather, is_gibberish, is_off, reference_graph, states_answer, written_out
from cal_grpo.oracles.quote import quote
from cal_grpo.oracles.steps import Step, hint_for, split_steps
from cal_grpo.oracles.types import Query, Tag, Verdict

_MAX_STEPS = 200  # of a response that are compared, from the start
NEIGHBOURS = 0.2  # weight of a neighbour's probability; scripts/fit_reference_oracle.py shows what others do
_NEIGHBOURS_BARE = 0.5  # the same where the reference is a running total; its weights, too, are those of the study's runs
_NEVER = -30.0  # added to the log of a step's probability
_LONG_WINDED = 8  # steps that compute nothing; what is added there was set by eye on twenty answers of a 0.5B model
_RECALLS, _SHOWN = -4.0, 0.7
_FOLLOWED = 0.98  # confidence where the reference is a running total
_NO_REASON = "every value before it is right, and the answer is not"


class ReferenceOracle:
    """Blames the step where a response most likely leaves the reference solution.

    Args:
        min_confidence: verdicts below it abstain. The confidence is the model's probability, in [0, 1], that this step is
            the first error.

    Where the reference is a bare answer it blames false equations alone, as ``arithmetic`` does. It abstains, too, without a
    reference, on a response without numbers, on one that never diverges, be it cut off before its
    answer, and on one that is not about the question. Where a response is written as the reference is, the verdict's correction
    is the rest of the reference; else it has none.
    """

    name = "reference"
    metered = free = True

    def __init__(self, min_confidence: float = 0.0) -> None:
        self.min_confidence = min_confidence
        self.identity = {"oracle": self.name, "version": "2", "min_confidence": f"{min_confidence:g}"}

    async def locate(self, query: Query) -> Verdict:
        return self.locate_now(query)

    def reads(self, query: Query) -> bool:
        """Whether the reference is a solution that a response can be held against, and not its answer alone."""
        return bool(reference_graph(query.question, query.reference).values)

    def locate_now(self, query: Query) -> Verdict:
        """The verdict, without an event loop."""
        if not query.reference.strip():
            return Verdict(Tag.ABSTAINED, critique="there is no reference solution")
        known = reference_graph(query.question, query.reference)
        if not known.values:  # an answer and no way to it: nothing can leave that, but sums can be false
            verdict = ArithmeticOracle().locate_now(query)
            return (
                verdict if verdict.segment else Verdict(Tag.ABSTAINED, critique="the reference is an answer, and no solution")
            )
        answered = states_answer(query.response, split_steps(query.response), known.is_bare)
        steps, found = _read(query, query.response if answered else written_out(query.response), unfinished=not answered)
        if not any(e.statement.computations or e.statement.algebra or e.statement.mentions for e in found):
            return Verdict(Tag.ABSTAINED, critique="the response states no number that could be compared")
        suspected = any(e.reason for e in found)
        if not suspected and (not answered or _same_answer(query)):
            return Verdict(Tag.ABSTAINED, critique="the response never leaves the reference solution")
        if known.is_bare and suspected:  # to be followed line by line, to the end of the text
            whole = (steps, found) if answered else _read(query, query.response, unfinished=True)
            steps, found = whole if any(e.reason for e in whole[1]) else (steps, found)
            probabilities = _followed(found)
        elif is_gibberish(query.response, (q for e in found for q in e.quantities), known):
            return Verdict(Tag.ABSTAINED, critique="the response is not about the question")
        else:
            probabilities = _probabilities(found, known.is_bare)
        blamed = likeliest(probabilities, _NEIGHBOURS_BARE if known.is_bare else NEIGHBOURS)
        critique, confidence = _critique(found, blamed, known.is_bare), round(probabilities[blamed], 3)
        if confidence < self.min_confidence:
            return Verdict(Tag.ABSTAINED, critique=critique, confidence=confidence)
        part = quote(steps[blamed], _focus(found[blamed]))
        verdict = Verdict(Tag.FOUND, critique, part.text, hint_for(query.response, part), confidence)
        rest = continuation(query.reference, steps, blamed)
        return with_correction(verdict, query.response, rest, steps[blamed].start)


def _read(query: Query, response: str, unfinished: bool) -> tuple[list[Step], list[Evidence]]:
    steps = split_steps(response)[:_MAX_STEPS]
    return steps, gather(query.question, query.reference, steps, response, unfinished=unfinished)


def _critique(found: Sequence[Evidence], blamed: int, bare: bool) -> str:
    reason = found[blamed].reason or _NO_REASON
    nothing_right = not any(quantity.sound and quantity.new for evidence in found for quantity in evidence.quantities)
    if bare or not nothing_right or not all(evidence.is_quiet for evidence in found[:blamed]):
        return reason
    return f"it is wrong from the beginning: {found[blamed].reason or 'nothing in it leads to the reference solution'}"


def _followed(found: Sequence[Evidence]) -> list[float]:
    """A reference of bare equations, a running total, is to be followed line by line: the first that leaves it is wrong."""
    first = next(i for i, e in enumerate(found) if e.reason)
    rest = (1 - _FOLLOWED) / max(1, len(found) - 1)
    return [_FOLLOWED if i == first else rest for i in range(len(found))]


def _probabilities(found: Sequence[Evidence], bare: bool) -> list[float]:
    weights = _weights()["bare" if bare else "worded"]
    scores = [sum(weights.get(name, 0.0) * value for name, value in e.features.items()) for e in found]
    if not bare:
        scores = [score + offset for score, offset in zip(scores, offsets(found), strict=True)]
    highest = max(scores)
    shares = [math.exp(score - highest) for score in scores]
    return [share / sum(shares) for share in shares]


def offsets(found: Sequence[Evidence]) -> list[float]:
    """What is added to the score of each step for the length of the response.

    The weights are fitted on students' short answers, where few steps compute nothing and many errors are thoughts. A
    long-winded one has plans, headings and lead-ins by the dozen, and says every number again, each time a little likely: what
    states nothing new is passed over. Its errors are computed where one can see them, at the first suspect more often. A step
    without a word or a number is passed over in any answer.
    """
    quiet = sum(evidence.is_quiet and not evidence.is_empty for evidence in found)
    long_winded = quiet >= _LONG_WINDED and 2 * quiet > sum(not evidence.is_empty for evidence in found)
    return [_NEVER if evidence.is_empty else _offset(evidence) if long_winded else 0.0 for evidence in found]


def _offset(evidence: Evidence) -> float:
    return _RECALLS * evidence.features.get("recalls", 0.0) + _SHOWN * evidence.features["first_suspect"]


def likeliest(probabilities: Sequence[float], neighbours: float = NEIGHBOURS) -> int:
    """The step with most probability on it and, at less weight, on its neighbours: being one off is better than far off."""
    padded = [0.0, *probabilities, 0.0]
    near = [padded[i] + neighbours * (padded[i - 1] + padded[i + 1]) for i in range(1, len(padded) - 1)]
    return max(range(len(near)), key=near.__getitem__)


@cache
def _weights() -> dict[str, dict[str, float]]:
    weights: dict[str, dict[str, float]] = json.loads(Path(__file__).with_name("reference_weights.json").read_text())
    return weights


def _focus(evidence: Evidence) -> tuple[int, int] | None:
    """The characters of the step's computation that is off, else of its first."""
    computed = [q for q in evidence.quantities if q.end]
    chosen = next((q for q in computed if is_off(q)), computed[0] if computed else None)
    return (chosen.start, chosen.end) if chosen else None


def _same_answer(query: Query) -> bool:
    response, reference = (parse_number(extract_answer(text) or "") for text in (query.response, query.reference))
    return response is not None and response == reference
