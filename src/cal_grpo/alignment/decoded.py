"""A completion as text, with the characters that each sampled token contributed to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cal_grpo.alignment.atoms import Atoms
from cal_grpo.alignment.folding import is_visible
from cal_grpo.alignment.table import TokenTable, backend, characters_of_bytes, token_table
from cal_grpo.errors import UsageError


@dataclass(frozen=True, eq=False)
class Decoded:
    """The text of a completion and where each token stands in it. T tokens, half-open character offsets.

    Attributes:
        text: the tokenizer's own decoding, special tokens included; what an oracle must be shown.
        starts_T, ends_T: int64; token t contributed to the characters [starts_T[t], ends_T[t]). Both never decrease
            and cover the text. Tokens that share a character overlap there; a token that adds nothing is empty.
        special_T: bool; special tokens, whose text no quote contains.
    """

    text: str
    starts_T: np.ndarray
    ends_T: np.ndarray
    special_T: np.ndarray

    def __len__(self) -> int:
        return len(self.starts_T)

    @cached_property
    def atoms(self) -> Atoms:
        """The text as words, numbers and operators; computed once, when a quote is not verbatim."""
        text = self.text
        for t in np.flatnonzero(self.special_T):
            start, end = self.starts_T[t], self.ends_T[t]
            text = text[:start] + " " * (end - start) + text[end:]
        return Atoms.scan(text)

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
        first = int(np.searchsorted(self.ends_T, char_start, side="right"))
        return first, int(np.searchsorted(self.starts_T, char_end, side="left"))


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
    table = token_table(inner)
    if table is not None:
        joined, starts_T, ends_T = _offsets(ids_T, table)
        # The tokenizer has the last word on its text: where the table does not reproduce it, ask for every prefix.
        if joined == text:
            known_T = ids_T < len(table.special_V)
            special_T = known_T & table.special_V[np.where(known_T, ids_T, 0)] if len(table.special_V) else known_T
            return Decoded(text, starts_T, ends_T, special_T)
    starts_T, ends_T = _offsets_by_prefix(ids_T, inner, text)
    special_ids = [index for index, added in inner.get_added_tokens_decoder().items() if added.special]
    return Decoded(text, starts_T, ends_T, np.isin(ids_T, special_ids))


def _checked(token_ids: Sequence[int]) -> np.ndarray:
    ids_T = np.asarray(token_ids)
    if ids_T.size == 0:
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


def _offsets(ids_T: np.ndarray, table: TokenTable) -> tuple[str, np.ndarray, np.ndarray]:
    known_T = ids_T < len(table.pieces)
    known_T[known_T] = table.known_V[ids_T[known_T]]
    kept = ids_T if known_T.all() else ids_T[known_T]  # the tokenizer, too, skips what it does not know
    parts = [table.pieces[i] for i in kept.tolist()]
    lengths = table.lengths_V[kept]
    if len(kept) and (opener := table.openers.get(int(kept[0]))) is not None:
        parts[0], lengths[0] = opener, len(opener)

    partial = np.flatnonzero(table.partial_V[kept])
    runs = np.split(partial, np.flatnonzero(np.diff(partial) > 1) + 1) if len(partial) else []
    inside: list[tuple[np.ndarray, list[int]]] = []
    for run in runs:
        raws = [table.raw[int(kept[t])] for t in run]
        parts[run[-1]], owners = characters_of_bytes(b"".join(raws), table.all_or_nothing)
        lengths[run[-1]] = len(parts[run[-1]])
        inside.append((run, owners))

    ends = np.cumsum(lengths)
    starts = ends - lengths
    for run, owners in inside:
        base, at = int(starts[run[0]]), 0
        for t in run:
            size = len(table.raw[int(kept[t])])
            starts[t], ends[t] = base + owners[at], base + owners[at + size - 1] + 1
            at += size

    text, left = _stripped("".join(parts), table.strip)
    starts, ends = (np.clip(x - left, 0, len(text)) for x in (starts, ends))
    if len(kept) == len(ids_T):
        return text, starts, ends
    # An unknown id is empty, between its neighbours; or shares the character that it stands in the middle of.
    following = np.cumsum(known_T)
    return text, np.append(starts, len(text))[following - known_T], np.insert(ends, 0, 0)[following]


def _stripped(text: str, strip: tuple[str, int, int]) -> tuple[str, int]:
    what, most_left, most_right = strip
    left = right = 0
    while left < min(most_left, len(text)) and text[left] == what:
        left += 1
    while right < min(most_right, len(text) - left) and text[len(text) - 1 - right] == what:
        right += 1
    return text[left : len(text) - right], left


def _offsets_by_prefix(ids_T: np.ndarray, inner: Any, text: str) -> tuple[np.ndarray, np.ndarray]:
    ids = ids_T.tolist()
    ends_T = np.zeros(len(ids), np.int64)
    for t in range(len(ids)):
        prefix = inner.decode(ids[: t + 1], skip_special_tokens=False)
        ends_T[t] = _agreeing(prefix, text)
    if len(ids):
        ends_T[-1] = len(text)
    ends_T = np.maximum.accumulate(ends_T)
    return np.concatenate([[0], ends_T[:-1]])[: len(ids)], ends_T


def _agreeing(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
