"""The oracle that needs no model: the first step that leaves the reference solution.

A step is judged by what it establishes: the results of its equations, or else the last number it states. It is wrong
when one of its equations is false, or when it establishes a value that neither the reference solution nor the question
knows. Steps in another order, or worded differently, establish the same values and pass.
"""

from fractions import Fraction

from cal_grpo.oracles.quantities import equations, numbers
from cal_grpo.oracles.steps import Step, hint_for, split_steps
from cal_grpo.oracles.types import Query, Tag, Verdict


class ReferenceOracle:
    """Compares values with the reference solution.

    Args:
        min_confidence: verdicts below it abstain. A false equation has 0.95, an equation with an unknown result 0.75,
            an unknown number without an equation 0.5, and the last step of a response that never diverged 0.3.
    """

    name = "reference"

    def __init__(self, min_confidence: float = 0.0) -> None:
        self.min_confidence = min_confidence

    async def locate(self, query: Query) -> Verdict:
        return self.locate_now(query)

    def locate_now(self, query: Query) -> Verdict:
        """The verdict, without an event loop."""
        steps = split_steps(query.response)
        known = {abs(n) for n in (*numbers(query.reference), *numbers(query.question))}
        known |= {abs(e.result) for e in equations(query.reference)}
        fallback: tuple[Step, str, float] | None = None
        for step in steps:
            written = list(equations(step.text))
            for equation in written:
                if equation.false_side() is not None:
                    return self._found(query, step, f"{equation.text} is false", 0.95)
            if written and (stray := _stray([e.result for e in written], known)) is not None:
                return self._found(query, step, f"the reference solution never reaches {stray}", 0.75)
            stated = [] if written else numbers(step.text)[-1:]
            if (stray := _stray(stated, known)) is not None:
                return self._found(query, step, f"the reference solution does not know {stray}", 0.5)
            if written or stated:
                fallback = step, "every value is known, yet the answer is wrong: the last step must be", 0.3
        if fallback is None:
            return Verdict(Tag.ABSTAINED, critique="the response states no value that could be compared")
        return self._found(query, *fallback)

    def _found(self, query: Query, step: Step, critique: str, confidence: float) -> Verdict:
        if confidence < self.min_confidence:
            return Verdict(Tag.ABSTAINED, critique=critique, confidence=confidence)
        return Verdict(Tag.FOUND, critique, step.text, hint_for(query.response, step), confidence)


def _stray(values: list[Fraction], known: set[Fraction]) -> Fraction | None:
    return next((value for value in values if abs(value) not in known), None)
