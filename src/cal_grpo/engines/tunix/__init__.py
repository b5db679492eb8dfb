"""CAL-GRPO on Tunix, Google's JAX post-training library."""

from cal_grpo.engines.tunix.config import CALGRPOConfig
from cal_grpo.engines.tunix.learner import CALGRPOLearner
from cal_grpo.engines.tunix.noise import seed_rollouts

__all__ = ["CALGRPOConfig", "CALGRPOLearner", "seed_rollouts"]
