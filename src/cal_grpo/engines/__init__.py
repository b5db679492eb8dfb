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

__all__ = [
    "ENGINES",
    "METRICS",
    "Answer",
    "Answers",
    "Engine",
    "OnCredit",
    "OnMetrics",
    "Parts",
    "RewardFn",
    "UpdateTally",
    "cal_metrics",
    "engine_of",
    "local_judge",
    "require_engine",
]
