"""The study's formulas: the library's, and its own under the names that its plans and results have."""

from cal_grpo.credit import FORMULAS, Compute, Formula, formula
from study.controls import random_span, shuffled_verdict
from study.survival import survival

OWN: dict[str, Compute] = {"survival": survival, "random_span": random_span, "shuffled_verdict": shuffled_verdict}
NAMES = (*FORMULAS, *OWN)


def formula_of(name: str) -> Formula:
    """A formula by its name in a plan.

    Raises:
        UsageError: there is none.
    """
    return formula(OWN.get(name, name))
