"""The oracle that recomputes: the first written equation that is false. Precise, but blind to a wrong idea."""

from collections.abc import Mapping
from fractions import Fraction

from cal_grpo.oracles.free.worked import equations
from cal_grpo.oracles.quote import quote
from cal_grpo.oracles.steps import hint_for, split_steps
from cal_grpo.oracles.types import Query, Tag, Verdict


class ArithmeticOracle:
    """Blames the first step with a false equation, abstains when every equation is true."""

    name = "arithmetic"
    metered = free = True
    corrects = False
    identity: Mapping[str, str] = {"oracle": "arithmetic", "version": "1"}

    async def locate(self, query: Query) -> Verdict:
        return self.locate_now(query)

    def locate_now(self, query: Query) -> Verdict:
        """The verdict, without an event loop."""
        for step in split_steps(query.response):
            for equation in equations(step.text):
                side = equation.false_side()
                if side is not None:
                    left, right = (_show(value) for value in equation.values[side - 1 : side + 1])
                    part = quote(step, (equation.start, equation.end))
                    return Verdict(
                        Tag.FOUND,
                        critique=f"{equation.text.strip()} is false: {left} is not {right}",
                        segment=part.text,
                        hint=hint_for(query.response, part),
                        confidence=0.95,
                    )
        return Verdict(Tag.ABSTAINED, critique="every equation that is written out is true")


def _show(value: Fraction) -> str:
    return f"{float(value):.10g}" if abs(value) < 10**300 else "a huge number"
