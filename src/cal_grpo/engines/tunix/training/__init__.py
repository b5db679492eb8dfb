"""What does the policy learn from its answers?"""

from cal_grpo.engines.tunix.training.cluster import adam, build_cluster, rollout_settings, silence
from cal_grpo.engines.tunix.training.config import CALGRPOConfig
from cal_grpo.engines.tunix.training.learner import CALGRPOLearner
from cal_grpo.engines.tunix.training.metrics import RowBackend, emit_before_checkpoints

__all__ = [
    "CALGRPOConfig",
    "CALGRPOLearner",
    "RowBackend",
    "adam",
    "build_cluster",
    "emit_before_checkpoints",
    "rollout_settings",
    "silence",
]
