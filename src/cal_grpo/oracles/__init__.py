"""Where is the first error?"""

from cal_grpo.oracles.arithmetic import ArithmeticOracle
from cal_grpo.oracles.cal_oracle import PROVIDERS, CALOracle
from cal_grpo.oracles.reference import ReferenceOracle
from cal_grpo.oracles.types import Oracle, Query, Tag, Usage, Verdict

__all__ = [
    "PROVIDERS",
    "ArithmeticOracle",
    "CALOracle",
    "Oracle",
    "Query",
    "ReferenceOracle",
    "Tag",
    "Usage",
    "Verdict",
]
