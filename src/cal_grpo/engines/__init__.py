"""Who trains? Existing engines, behind one contract."""

from cal_grpo.engines.contract import Answer, Answers, UpdateTally

__all__ = ["Answer", "Answers", "UpdateTally"]
