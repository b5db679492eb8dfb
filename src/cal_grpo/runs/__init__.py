"""What becomes of a config: a training or an evaluation, and its folder?"""

from cal_grpo.runs.beforehand import Footprint, Rehearsal, chosen_config, rehearse
from cal_grpo.runs.callbacks import Callback
from cal_grpo.runs.evaluation import evaluate
from cal_grpo.runs.resume import is_finished, read_summary, resumed_config
from cal_grpo.runs.trackers import TRACKERS
from cal_grpo.runs.training import Trained, train
from cal_grpo.runs.watch import Watcher

__all__ = [
    "TRACKERS",
    "Callback",
    "Footprint",
    "Rehearsal",
    "Trained",
    "Watcher",
    "chosen_config",
    "evaluate",
    "is_finished",
    "read_summary",
    "rehearse",
    "resumed_config",
    "train",
]
