"""A small fast engine for studies: one jitted rollout, one jitted update, on one device.

It takes the same loss with the same credit as ``engines.tunix`` (``study/tests/test_simulator.py`` compares an update of
both). It is quicker on a CPU because a question's prompt is computed once for all answers of its group, its arrays are
laid out for the CPU, and it has none of what a long training needs: no meshes, no checkpoints.
"""

from study.simulator.learn import Learner, LossSettings, Rows, policy_loss
from study.simulator.qwen2 import Params, Shape, from_tunix
from study.simulator.sample import Prompts, Rollouts, Sampler, pad_prompts

__all__ = [
    "Learner", "LossSettings", "Params", "Prompts", "Rollouts", "Rows", "Sampler", "Shape", "from_tunix", "pad_prompts",
    "policy_loss",
]  # fmt: skip
