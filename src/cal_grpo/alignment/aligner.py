"""Quotes to spans of sampled tokens."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from cal_grpo.alignment.match import Haystack, find_quote
from cal_grpo.alignment.offsets import Decoded, Offsets
from cal_grpo.alignment.types import Miss, TokenSpan

OnAmbiguous = Literal["first", "miss"]
THRESHOLD = 0.88


class Aligner:
    """Maps quotes to the tokens of one tokenizer.

    Args:
        tokenizer: a fast Hugging Face tokenizer or a ``tokenizers.Tokenizer``.
        max_span_tokens: a longer span is refused.
        threshold: similarity in [0, 1] that a fuzzy match must reach.
        on_ambiguous: whether a quote that occurs more than once, without a deciding hint, means its first occurrence.
    """

    def __init__(
        self,
        tokenizer: Any,
        max_span_tokens: int = 64,
        threshold: float = THRESHOLD,
        on_ambiguous: OnAmbiguous = "first",
    ) -> None:
        self._offsets = Offsets(tokenizer)
        self._max_span_tokens = max_span_tokens
        self._threshold = threshold
        self._on_ambiguous: OnAmbiguous = on_ambiguous

    def decode(self, token_ids: Sequence[int]) -> Decoded:
        """The completion's text, as an oracle should read it, and its tokens' offsets."""
        return self._offsets.decode(token_ids)

    def map(self, token_ids: Sequence[int], segment: str, hint: str | None = None) -> TokenSpan | Miss:
        """One quote on one completion; see ``map_segment_to_token_indices``."""
        return self.map_many(self.decode(token_ids), [(segment, hint)])[0]

    def map_many(self, decoded: Decoded, quotes: Sequence[tuple[str, str | None]]) -> list[TokenSpan | Miss]:
        """Several (quote, hint) pairs on one decoded completion; offsets and normal form are shared."""
        haystack = Haystack(decoded.text)
        return [self._map(decoded, haystack, segment, hint) for segment, hint in quotes]

    def _map(self, decoded: Decoded, haystack: Haystack, segment: str, hint: str | None) -> TokenSpan | Miss:
        found = find_quote(haystack, segment, hint, self._threshold, self._on_ambiguous)
        if isinstance(found, Miss):
            return found
        tokens = tokens_of(decoded, found.start, found.end)
        if tokens is None:
            return Miss("junk", "the quote covers no visible character")
        start, end = tokens
        if end - start > self._max_span_tokens:
            return Miss("too_long", f"{end - start} tokens; at most {self._max_span_tokens} are blamed")
        return TokenSpan(start, end, found.start, found.end, found.method, found.score)


def tokens_of(decoded: Decoded, char_start: int, char_end: int) -> tuple[int, int] | None:
    """Half-open token span of the tokens that share a visible character with ``[char_start, char_end)``."""
    while char_start < char_end and decoded.text[char_start].isspace():
        char_start += 1
    while char_end > char_start and decoded.text[char_end - 1].isspace():
        char_end -= 1
    if char_start >= char_end:
        return None
    # The ends are visible now: a token that reaches over one of them shares that character.
    touching = np.flatnonzero((decoded.starts < char_end) & (decoded.ends > char_start) & (decoded.ends > decoded.starts))
    return (int(touching[0]), int(touching[-1]) + 1) if len(touching) else None


def map_segment_to_token_indices(
    token_ids: Sequence[int],
    segment: str,
    tokenizer: Any,
    max_span_tokens: int = 64,
    hint: str | None = None,
    *,
    threshold: float = THRESHOLD,
    on_ambiguous: OnAmbiguous = "first",
) -> TokenSpan | Miss:
    """The sampled tokens that a quote covers.

    Args:
        token_ids: ids as sampled, in whatever segmentation.
        segment: the quote.
        tokenizer: the policy's.
        max_span_tokens: a longer span is a ``Miss``.
        hint: the text just before the quote, or the 0-based index of its line as digits.
        threshold: similarity in [0, 1] that a fuzzy match must reach.
        on_ambiguous: see ``Aligner``.

    Returns:
        A half-open ``TokenSpan``, or a ``Miss`` with its reason. Below the threshold it is a ``Miss``, never a guess.
    """
    return Aligner(tokenizer, max_span_tokens, threshold, on_ambiguous).map(token_ids, segment, hint)
