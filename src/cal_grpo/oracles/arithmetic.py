"""The oracle that recomputes: the first written equation that is false. Precise, but blind to a wrong idea."""

from collections.abc import Mapping

from cal_grpo.oracles.quantities import equations
from cal_grpo.oracles.steps import hint_for, split_steps
from cal_grpo.oracles.types import Query, Tag, Verdict


class ArithmeticOracle:
    """Blames the first step with a false equation, abstains when every equation is true."""

    name = "arithmetic"
    metered = free = True
    identity: Mapping[str, str] = {"oracle": "arithmetic", "version": "1"}

    async def locate(self, query: Query) -> Verdict:
        return self.locate_now(query)

    def locate_now(self, query: Query) -> Verdict:
        """The verdict, without an event loop."""
        for step in split_steps(query.response):
            for equation in equations(step.text):
                side = equation.false_side()
                if side is not None:
                    return Verdict(
                        Tag.FOUND,
                        critique=f"{equation.text} is false: its side {side} comes to {_show(equation.sides[side - 1])}",
                        segment=step.text,
                        hint=hint_for(query.response, step),
                        confidence=0.95,
                    )
        return Verdict(Tag.ABSTAINED, critique="every equation that is written out is true")


def _show(value: object) -> str:
    text = str(value)
    return text if len(text) < 40 else text[:37] + "..."
