"""Where is the first error, when no model is asked?"""

from cal_grpo.oracles.free.arithmetic import ArithmeticOracle
from cal_grpo.oracles.free.reference import ReferenceOracle

__all__ = [
    "ArithmeticOracle",
    "ReferenceOracle",
]
