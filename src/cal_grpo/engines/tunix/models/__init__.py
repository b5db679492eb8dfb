"""Which model is it: a checkpoint folder, in and out of Tunix?"""

from cal_grpo.engines.tunix.models.checkpoint import load_policy
from cal_grpo.engines.tunix.models.export import save_policy
from cal_grpo.engines.tunix.models.head import take_head, vocabulary
from cal_grpo.engines.tunix.models.lora import save_adapter, with_lora
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.engines.tunix.models.policy import Policy, leaves
from cal_grpo.engines.tunix.models.quirks import read_prompts_as_rendered
from cal_grpo.engines.tunix.models.user_text import UserText

__all__ = [
    "Policy",
    "UserText",
    "leaves",
    "load_policy",
    "make_mesh",
    "read_prompts_as_rendered",
    "save_adapter",
    "save_policy",
    "take_head",
    "vocabulary",
    "with_lora",
]
