"""Who trains? Existing engines, behind one contract."""

from cal_grpo.engines.catalog import ENGINES, local_judge, require_engine
from cal_grpo.engines.contract import (
    METRICS,
    Answer,
    Answers,
    Engine,
    OnCredit,
    OnMetrics,
    Parts,
    RewardFn,
    UpdateTally,
    cal_metrics,
    engine_of,
)
from cal_grpo.engines.found import Found
from cal_grpo.engines.machine import idle_gpu, versions

__all__ = [
    "ENGINES",
    "METRICS",
    "Answer",
    "Answers",
    "Engine",
    "Found",
    "OnCredit",
    "OnMetrics",
    "Parts",
    "RewardFn",
    "UpdateTally",
    "cal_metrics",
    "engine_of",
    "idle_gpu",
    "local_judge",
    "require_engine",
    "versions",
]
