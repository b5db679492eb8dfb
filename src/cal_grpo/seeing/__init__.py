"""What became of a run? Run folders read back, drawn and compared."""

from cal_grpo.seeing.rollout import Piece, Rollout
from cal_grpo.seeing.run import Run

__all__ = ["Piece", "Rollout", "Run"]
