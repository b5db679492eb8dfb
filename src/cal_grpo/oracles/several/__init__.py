"""What do several oracles say together?"""

from cal_grpo.oracles.several.cascade import Cascade
from cal_grpo.oracles.several.compose import compose, is_composite
from cal_grpo.oracles.several.vote import Vote

__all__ = [
    "Cascade",
    "Vote",
    "compose",
    "is_composite",
]
