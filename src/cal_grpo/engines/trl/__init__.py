"""Who trains? CAL-GRPO on TRL, Hugging Face's PyTorch post-training library."""

from cal_grpo.engines.trl.config import CALGRPOConfig
from cal_grpo.engines.trl.engine import TRLEngine
from cal_grpo.engines.trl.trainer import CALGRPOTrainer

__all__ = ["CALGRPOConfig", "CALGRPOTrainer", "TRLEngine"]
