"""How is one question asked: when, how often, at what cost?"""

from cal_grpo.oracles.requests.allowance import Allowance
from cal_grpo.oracles.requests.breaker import Breaker
from cal_grpo.oracles.requests.budget import Budget
from cal_grpo.oracles.requests.client import OracleClient
from cal_grpo.oracles.requests.limits import Limits
from cal_grpo.oracles.requests.retry import Retry

__all__ = [
    "Allowance",
    "Breaker",
    "Budget",
    "Limits",
    "OracleClient",
    "Retry",
]
