"""What do several oracles say together?"""

from cal_grpo.oracles.several.cascade import Cascade
from cal_grpo.oracles.several.compose import compose, is_composite, named_in
from cal_grpo.oracles.several.composite import Composite, Find, leaves, over_leaves
from cal_grpo.oracles.several.vote import Vote

__all__ = [
    "Cascade",
    "Composite",
    "Find",
    "Vote",
    "compose",
    "is_composite",
    "leaves",
    "named_in",
    "over_leaves",
]
