"""How do grades, verdicts, spans and a formula become one array for an engine?"""

from cal_grpo.pipeline.corrections import Corrector
from cal_grpo.pipeline.metrics import SUMMED
from cal_grpo.pipeline.pipeline import CreditPipeline
from cal_grpo.pipeline.types import TRUNCATED, Completion, Correction, Credited, Judged, OracleFailed, Pending
from cal_grpo.pipeline.update import Update

__all__ = [
    "SUMMED",
    "TRUNCATED",
    "Completion",
    "Correction",
    "Corrector",
    "CreditPipeline",
    "Credited",
    "Judged",
    "OracleFailed",
    "Pending",
    "Update",
]
