"""What does the policy answer?"""

from cal_grpo.engines.tunix.rollouts.answering import answers, rollout_of
from cal_grpo.engines.tunix.rollouts.end_tokens import end_ids, keep_end_tokens
from cal_grpo.engines.tunix.rollouts.noise import seed_rollouts

__all__ = [
    "answers",
    "end_ids",
    "keep_end_tokens",
    "rollout_of",
    "seed_rollouts",
]
