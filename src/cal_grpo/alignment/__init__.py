"""Which sampled tokens are that quote?"""

from cal_grpo.alignment.aligner import Aligner, char_spans_to_tokens, map_segment_to_token_indices
from cal_grpo.alignment.choose import OnAmbiguous
from cal_grpo.alignment.decoded import Decoded, decode
from cal_grpo.alignment.types import Miss, TokenSpan

__all__ = [
    "Aligner",
    "Decoded",
    "Miss",
    "OnAmbiguous",
    "TokenSpan",
    "char_spans_to_tokens",
    "decode",
    "map_segment_to_token_indices",
]
