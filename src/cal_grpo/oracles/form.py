"""Are two solutions written alike, whatever their numbers?"""

import re
from collections.abc import Sequence

from cal_grpo.oracles.steps import Step, says_something

_NUMBER = re.compile(r"(?:(?<![\d)\s])-)?\d+(?:[.,]\d+)*")  # with a minus that is its own
_SIGN = re.compile(r"[-+*/×÷−·]")


def skeleton(text: str) -> str:
    """How a step is written, whatever its numbers and whichever sign stands between them: ``0+0=0``."""
    return _SIGN.sub("+", _NUMBER.sub("0", text))


def has_form(steps: Sequence[Step], model: Sequence[Step]) -> bool:
    """Whether at least half of the steps that say something are written as a step of the model is."""
    forms = {skeleton(step.text) for step in model}
    alike = [skeleton(step.text) in forms for step in steps if says_something(step.text)]
    return bool(alike) and 2 * sum(alike) >= len(alike)
