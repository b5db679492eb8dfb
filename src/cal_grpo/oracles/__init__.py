"""Where is the first error?"""

from cal_grpo.oracles.cal_oracle import CALOracle
from cal_grpo.oracles.corrections import copies_reference, corrected
from cal_grpo.oracles.estimate import VerdictCost, verdict_costs
from cal_grpo.oracles.free import ArithmeticOracle, ReferenceOracle
from cal_grpo.oracles.mapping import blamed
from cal_grpo.oracles.protocol import Oracle, is_oracle
from cal_grpo.oracles.providers import PROVIDERS, check_named, takes
from cal_grpo.oracles.steps import hint_for, split_steps
from cal_grpo.oracles.types import Query, Tag, Usage, Verdict

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
    "VerdictCost",
    "blamed",
    "check_named",
    "copies_reference",
    "corrected",
    "hint_for",
    "is_oracle",
    "split_steps",
    "takes",
    "verdict_costs",
]
