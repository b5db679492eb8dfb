"""What does the policy answer?"""

from cal_grpo.engines.tunix.rollouts.answering import answers, rollout_of
from cal_grpo.engines.tunix.rollouts.end_tokens import end_ids, keep_end_tokens
from cal_grpo.engines.tunix.rollouts.noise import seed_rollouts
from cal_grpo.engines.tunix.rollouts.prompts import batches, fitting, prompts_of

__all__ = [
    "answers",
    "batches",
    "end_ids",
    "fitting",
    "keep_end_tokens",
    "prompts_of",
    "rollout_of",
    "seed_rollouts",
]
