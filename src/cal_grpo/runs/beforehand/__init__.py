"""What would a run be? Its settings, its memory and its cost, before it begins."""

from cal_grpo.runs.beforehand.choice import chosen_config
from cal_grpo.runs.beforehand.footprint import Footprint
from cal_grpo.runs.beforehand.rehearsal import Rehearsal, rehearse
from cal_grpo.runs.beforehand.worked import without_solutions

__all__ = ["Footprint", "Rehearsal", "chosen_config", "rehearse", "without_solutions"]
