"""Which sampled tokens are that quote?"""

from cal_grpo.alignment.aligner import Aligner, map_segment_to_token_indices, tokens_of
from cal_grpo.alignment.offsets import Decoded, Offsets
from cal_grpo.alignment.types import Miss, TokenSpan

__all__ = ["Aligner", "Decoded", "Miss", "Offsets", "TokenSpan", "map_segment_to_token_indices", "tokens_of"]
