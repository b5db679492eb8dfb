"""Which sampled tokens are that quote?"""

from cal_grpo.alignment.types import Miss, TokenSpan

__all__ = ["Miss", "TokenSpan"]
