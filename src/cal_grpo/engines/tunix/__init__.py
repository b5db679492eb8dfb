"""Who trains? CAL-GRPO on Tunix, Google's JAX post-training library."""

from cal_grpo.engines.tunix.engine import TunixEngine
from cal_grpo.engines.tunix.local_judge import LocalJudge
from cal_grpo.engines.tunix.rollouts import seed_rollouts
from cal_grpo.engines.tunix.training import CALGRPOConfig, CALGRPOLearner

__all__ = ["CALGRPOConfig", "CALGRPOLearner", "LocalJudge", "TunixEngine", "seed_rollouts"]
