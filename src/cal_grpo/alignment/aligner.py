"""Quotes to spans of sampled tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cal_grpo.alignment.atoms import Atoms
from cal_grpo.alignment.choose import OnAmbiguous, choose
from cal_grpo.alignment.decoded import Decoded, decode
from cal_grpo.alignment.find import CharSpan, elided, same_atoms, verbatim
from cal_grpo.alignment.table import backend, token_table
from cal_grpo.alignment.types import Method, Miss, TokenSpan
from cal_grpo.errors import UsageError

THRESHOLD = 0.75
MAX_SPAN_TOKENS = 64
_MARGIN = 0.05  # two passages whose similarities are closer than this cannot be told apart


class Aligner:
    """Maps quotes to the sampled tokens of one tokenizer.

    Args:
        tokenizer: a fast Hugging Face tokenizer or a ``tokenizers.Tokenizer``; its table is built here, once.
        max_span_tokens: a longer span is a ``Miss``.
        threshold: similarity in [0, 1] that a fuzzy match must reach.
        on_ambiguous: what a quote that occurs more than once means when no hint decides: its "first" occurrence, or
            a "miss".

    Attributes:
        max_span_tokens: as given.

    Raises:
        UsageError: another kind of tokenizer, or a setting out of its range.
    """

    def __init__(
        self,
        tokenizer: Any,
        max_span_tokens: int = MAX_SPAN_TOKENS,
        threshold: float = THRESHOLD,
        on_ambiguous: OnAmbiguous = "first",
    ) -> None:
        if max_span_tokens < 1:
            raise UsageError(f"got max_span_tokens={max_span_tokens}; expected at least 1; the default is 64")
        if not 0 <= threshold <= 1:
            raise UsageError(f"got threshold={threshold}; expected 0 to 1; the default is {THRESHOLD}")
        if on_ambiguous not in ("first", "miss"):
            raise UsageError(f"got on_ambiguous={on_ambiguous!r}; expected 'first' or 'miss'; choose one of them")
        token_table(backend(tokenizer))
        self._tokenizer = tokenizer
        self.max_span_tokens = max_span_tokens
        self._threshold = threshold
        self._on_ambiguous: OnAmbiguous = on_ambiguous

    def decode(self, token_ids: Sequence[int]) -> Decoded:
        """The completion's text, as an oracle must read it, and each token's characters."""
        return decode(token_ids, self._tokenizer)

    def map(self, response: Sequence[int] | Decoded, segment: str, hint: str | None = None) -> TokenSpan | Miss:
        """The tokens of a quote, in sampled ids or in what ``decode`` made of them.

        See ``map_segment_to_token_indices``. Several quotes on one completion share its offsets when it is decoded
        first.
        """
        decoded = response if isinstance(response, Decoded) else self.decode(response)
        found = _find(decoded, segment, hint, self._threshold, self._on_ambiguous)
        if isinstance(found, Miss):
            return found
        span, method, score = found
        tokens = decoded.tokens(*span)
        if tokens is None:
            return Miss("junk", f"no visible character in {segment[:40]!r}")
        start, end = tokens
        if end - start > self.max_span_tokens:
            return Miss("too_long", f"{end - start} tokens; at most {self.max_span_tokens} are blamed")
        return TokenSpan(start, end, span.start, span.end, method, score)

    def find(self, text: str, segment: str, hint: str | None = None) -> tuple[int, int] | Miss:
        """The half-open characters of a quote in a plain text, found as ``map`` finds them."""
        return _find_in_text(text, segment, hint, self._threshold, self._on_ambiguous)

    def map_batch(
        self, responses: Sequence[Sequence[int] | Decoded], quotes: Sequence[Sequence[tuple[str, str | None]]]
    ) -> list[list[TokenSpan | Miss]]:
        """Several (quote, hint) pairs on each of several completions; each completion is decoded once.

        Raises:
            UsageError: not one list of quotes for each response.
        """
        if len(responses) != len(quotes):
            raise UsageError(
                f"got {len(responses)} responses and {len(quotes)} lists of quotes; expected as many of both; "
                "pass an empty list for a response without quotes"
            )
        decoded = [r if isinstance(r, Decoded) else self.decode(r) for r in responses]
        return [[self.map(d, quote, hint) for quote, hint in row] for d, row in zip(decoded, quotes, strict=True)]


def _find(
    decoded: Decoded, segment: str, hint: str | None, threshold: float, on_ambiguous: OnAmbiguous
) -> tuple[CharSpan, Method, float] | Miss:
    if not segment.strip():
        return Miss("empty", "the quote is empty")
    if not decoded.text.strip():
        return Miss("empty", "the response is empty")
    if not any(c.isalnum() for c in segment):
        return Miss("junk", f"no letter or digit in {segment[:40]!r}")
    quote = segment.strip()
    spans = verbatim(decoded, quote)
    if spans:
        return _with(choose(decoded, spans, hint, on_ambiguous), "exact", 1.0)
    atoms = Atoms.scan(quote)
    spans = same_atoms(decoded, quote, atoms) or elided(decoded, quote)
    if spans:
        return _with(choose(decoded, spans, hint, on_ambiguous), "normalized", 1.0)

    from cal_grpo.alignment.fuzzy import resembling  # rapidfuzz is needed by loose quotes only

    passages = resembling(decoded, quote, atoms, threshold)
    if passages is None:
        return Miss("ambiguous", f"the numbers of {quote[:60]!r} are all over the response")
    if not passages:
        return Miss("not_found", f"{quote[:60]!r} is not in the response")
    score = passages[0].score
    rivals = [p for p in passages if p.score > score - _MARGIN]
    # Passages that say the same are repetitions; of merely similar ones the first would be a guess.
    cautious: OnAmbiguous = on_ambiguous if len({p.says for p in rivals}) == 1 else "miss"
    return _with(choose(decoded, sorted(p.span for p in rivals), hint, cautious), "fuzzy", score)


def _with(chosen: CharSpan | Miss, method: Method, score: float) -> tuple[CharSpan, Method, float] | Miss:
    return chosen if isinstance(chosen, Miss) else (chosen, method, score)


def map_segment_to_token_indices(
    token_ids: Sequence[int],
    segment: str,
    tokenizer: Any,
    max_span_tokens: int = MAX_SPAN_TOKENS,
    hint: str | None = None,
    *,
    threshold: float = THRESHOLD,
    on_ambiguous: OnAmbiguous = "first",
) -> TokenSpan | Miss:
    """The sampled tokens that a quote covers: each that shares a visible character with it, and those in between.

    The quote is looked for as it is, then word by word in whatever spelling, then with words changed; numbers and
    operators must always be the response's own.

    Args:
        token_ids: T ids as sampled, in whatever segmentation, padding included or not.
        segment: the quote, as a judge wrote it.
        tokenizer: the policy's; its table is built once and kept.
        max_span_tokens: a longer span is a ``Miss``.
        hint: the text just before the quote, or the 0-based index of its line as digits; decides between repetitions.
        threshold: similarity in [0, 1] that a fuzzy match must reach.
        on_ambiguous: "first" or "miss"; see ``Aligner``.

    Returns:
        A half-open ``TokenSpan``, or a ``Miss`` with its reason. Below the threshold it is a ``Miss``, never a guess.

    Raises:
        UsageError: another kind of tokenizer, a negative id, or a setting out of its range.
    """
    return Aligner(tokenizer, max_span_tokens, threshold, on_ambiguous).map(token_ids, segment, hint)


def find_quote(text: str, segment: str, hint: str | None = None) -> tuple[int, int] | Miss:
    """The half-open characters of a quote in a plain text, found as ``map_segment_to_token_indices`` finds them."""
    return _find_in_text(text, segment, hint, THRESHOLD, "first")


def _find_in_text(
    text: str, segment: str, hint: str | None, threshold: float, on_ambiguous: OnAmbiguous
) -> tuple[int, int] | Miss:
    edges = np.arange(len(text) + 1)
    one_each = Decoded(text, edges[:-1], edges[1:], np.zeros(len(text), dtype=bool))
    found = _find(one_each, segment, hint, threshold, on_ambiguous)
    return found if isinstance(found, Miss) else (found[0].start, found[0].end)


def char_spans_to_tokens(decoded: Decoded, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int] | None]:
    """Half-open token spans of half-open character spans, None where nothing is visible; see ``Decoded.tokens``."""
    return [decoded.tokens(start, end) for start, end in spans]
