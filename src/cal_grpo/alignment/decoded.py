"""A completion as text, with the characters that each sampled token contributed to."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cal_grpo.alignment.atoms import Atoms
from cal_grpo.alignment.folding import ink, is_visible
from cal_grpo.alignment.offsets import by_prefix, by_table
from cal_grpo.alignment.table import TokenTable, backend, special_ids, token_table
from cal_grpo.errors import UsageError


@dataclass(frozen=True, eq=False)
class Decoded:
    """The text of a completion and where each token stands in it. T tokens, half-open character offsets.

    Attributes:
        text: the tokenizer's own decoding, special tokens included; what an oracle must be shown.
        starts_T, ends_T: int64; token t contributed to the characters [starts_T[t], ends_T[t]). Both never decrease
            and cover the text. Tokens that share a character overlap there; a token that adds nothing is empty.
        special_T: bool; special tokens, which a quote has whole or not at all.
    """

    text: str
    starts_T: np.ndarray
    ends_T: np.ndarray
    special_T: np.ndarray

    def __len__(self) -> int:
        return len(self.starts_T)

    @cached_property
    def special_spans(self) -> list[tuple[int, int]]:
        """The characters of each special token, half-open."""
        return [(int(self.starts_T[t]), int(self.ends_T[t])) for t in self.special_T.nonzero()[0]]

    @cached_property
    def atoms(self) -> Atoms:
        """The text as words, numbers and operators; computed once, when a quote is not verbatim."""
        parts, done = [], 0
        for start, end in self.special_spans:
            parts += [self.text[done:start], " " * (end - start)]
            done = end
        return Atoms.scan("".join([*parts, self.text[done:]]))

    @cached_property
    def ink(self) -> tuple[str, list[int]]:
        """What a reader sees of the text but markdown, in one spelling, and the character of the text it came from."""
        return ink(self.text)

    def is_inside_special(self, at: int) -> bool:
        """Whether the position ``at`` has characters of one special token on both sides."""
        before = bisect_left(self.special_spans, (at, 0)) - 1
        return before >= 0 and at < self.special_spans[before][1]

    def tokens(self, char_start: int, char_end: int) -> tuple[int, int] | None:
        """The tokens, as half-open indices, that share a visible character with ``text[char_start:char_end]``.

        None if there is no visible character in it. Tokens in between are included whatever they hold, as a span is
        contiguous.

        Raises:
            UsageError: the characters are not in the text.
        """
        if not 0 <= char_start <= char_end <= len(self.text):
            raise UsageError(
                f"got the characters [{char_start}, {char_end}) of a text of {len(self.text)}; "
                "expected 0 <= start <= end <= length; take offsets from this response's text"
            )
        while char_start < char_end and not is_visible(self.text[char_start]):
            char_start += 1
        while char_start < char_end and not is_visible(self.text[char_end - 1]):
            char_end -= 1
        if char_start == char_end:
            return None
        first = int(self.ends_T.searchsorted(char_start, side="right"))
        return first, int(self.starts_T.searchsorted(char_end, side="left"))


def decode(token_ids: Sequence[int], tokenizer: Any) -> Decoded:
    """Decode sampled ids, special tokens kept and spaces left alone, with each token's characters.

    The ids need not be what the tokenizer would make of the text. Linear in T for byte-level BPE, SentencePiece BPE
    with byte fallback and Unigram; a decoder that is none of these is asked for every prefix, which is quadratic.

    Args:
        token_ids: T ids, >= 0; ids outside the vocabulary decode to nothing.
        tokenizer: a Hugging Face fast tokenizer or a ``tokenizers.Tokenizer``.

    Raises:
        UsageError: another kind of tokenizer, a negative id, or ids that are no flat list of integers.
    """
    inner = backend(tokenizer)
    ids_T = _checked(token_ids)
    text: str = inner.decode(ids_T.tolist(), skip_special_tokens=False)
    # The tokenizer has the last word on its text. Where the table does not reproduce it, the tokenizer may have been
    # given tokens since; if that is not it, ask for every prefix.
    starts_T, ends_T = (
        _reproduced(text, ids_T, token_table(inner))
        or _reproduced(text, ids_T, token_table(inner, inner.get_vocab_size(with_added_tokens=True)))
        or by_prefix(ids_T, inner, text)
    )
    return Decoded(text, starts_T, ends_T, np.isin(ids_T, special_ids(inner)))


def _reproduced(text: str, ids_T: np.ndarray, table: TokenTable | None) -> tuple[np.ndarray, np.ndarray] | None:
    if table is None:
        return None
    joined, starts_T, ends_T = by_table(ids_T, table)
    return (starts_T, ends_T) if joined == text else None


def _checked(token_ids: Sequence[int]) -> np.ndarray:
    try:
        ids_T = np.asarray(token_ids)
    except ValueError:  # lists of different lengths
        ids_T = np.asarray(token_ids, dtype=object)
    if ids_T.shape == (0,):
        return np.zeros(0, np.int64)
    if ids_T.ndim != 1 or ids_T.dtype.kind not in "iu":
        raise UsageError(
            f"got token ids of shape {ids_T.shape} and type {ids_T.dtype}; expected a flat list of integers; "
            "pass one completion's sampled ids"
        )
    if ids_T.min() < 0 or ids_T.max() >= 2**31:
        raise UsageError(
            f"got token ids from {ids_T.min()} to {ids_T.max()}; expected 0 <= id < 2**31; "
            "remove masks such as -100 before aligning"
        )
    return ids_T.astype(np.int64)
