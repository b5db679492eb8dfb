"""What each id of a tokenizer contributes to the decoded text, worked out once per tokenizer."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cal_grpo.alignment.utf8 import byte_level_alphabet
from cal_grpo.errors import UsageError

WHOLE, PARTIAL, UNKNOWN = range(3)


@dataclass(frozen=True, eq=False)
class TokenTable:
    """The pieces of one tokenizer, by id (V = largest id + 2: the last one stands for every id beyond the vocabulary).

    Attributes:
        pieces_V: object, str; the text of an id, "" where it is in ``raw`` or stands for nothing.
        openers: the text of an id as first of the sequence, where that differs.
        raw: the bytes of those ids that are no whole characters by themselves.
        lengths_V: int64, characters of each piece.
        kinds_V: int8; ``WHOLE``, ``PARTIAL`` for what is in ``raw``, or ``UNKNOWN``.
        all_or_nothing: a run of bytes that is not UTF-8 becomes one U+FFFD a byte (byte fallback) rather than one for
            each maximal part of a character (byte-level BPE).
        strip: a character, and how many of it are taken off the left and the right end of the whole text.
    """

    pieces_V: np.ndarray
    openers: dict[int, str]
    raw: dict[int, bytes]
    lengths_V: np.ndarray
    kinds_V: np.ndarray
    all_or_nothing: bool
    strip: tuple[str, int, int]


def backend(tokenizer: Any) -> Any:
    """The ``tokenizers.Tokenizer`` inside a Hugging Face fast tokenizer, or the object itself if it is one.

    Raises:
        UsageError: it is neither.
    """
    inner = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(inner, "get_added_tokens_decoder"):
        raise UsageError(
            f"cannot align with a {type(tokenizer).__name__}; expected a Hugging Face fast tokenizer or a "
            "tokenizers.Tokenizer; load it with AutoTokenizer.from_pretrained(..., use_fast=True)"
        )
    return inner


@lru_cache(maxsize=8)
def token_table(inner: Any, vocab_size: int | None = None) -> TokenTable | None:
    """The table of a ``tokenizers.Tokenizer``; None if its decoder cannot be taken apart id by id (WordPiece, for one).

    It is built once, and again for another ``vocab_size``: a tokenizer can be given more tokens after the first call.
    """
    stages = _stages(inner)
    recipe = None if stages is None else _recipe(stages)
    return None if recipe is None else recipe.build(inner.get_vocab(with_added_tokens=True))


def special_ids(inner: Any) -> list[int]:
    """The ids of a ``tokenizers.Tokenizer``'s special tokens."""
    return [index for index, added in inner.get_added_tokens_decoder().items() if added.special]


def _stages(inner: Any) -> list[dict[str, Any]] | None:
    if inner.decoder is None:
        return None
    state = json.loads(inner.decoder.__getstate__())
    return state["decoders"] if state["type"] == "Sequence" else [state]


def _recipe(stages: list[dict[str, Any]]) -> "_Recipe | None":
    if [s["type"] for s in stages] == ["ByteLevel"]:
        return _Recipe(byte_level=True)
    recipe, fused = _Recipe(), False
    for stage in stages:
        match stage:
            case {"type": "Replace", "pattern": {"String": old}, "content": new} if not (fused or recipe.byte_fallback):
                recipe.replacements.append((old, new))
            case {"type": "Metaspace", "replacement": mark, "prepend_scheme": scheme} if not fused:
                recipe.replacements.append((mark, " "))
                recipe.opener_drops = mark if scheme != "never" else None
            case {"type": "ByteFallback"} if not fused:
                recipe.byte_fallback = True
            case {"type": "Fuse"}:
                fused = True
            case {"type": "Strip", "content": what, "start": left, "stop": right} if fused:
                recipe.strip = (what, left, right)
            case _:
                return None
    return recipe


class _Recipe:
    """How a decoder turns tokens into text, as far as it does so token by token."""

    def __init__(self, byte_level: bool = False) -> None:
        self.byte_level = byte_level
        self.byte_fallback = False
        self.replacements: list[tuple[str, str]] = []
        self.opener_drops: str | None = None
        self.strip = ("", 0, 0)

    def build(self, vocab: dict[str, int]) -> TokenTable:
        size = max(vocab.values(), default=-1) + 2
        pieces_V, openers, raw = np.full(size, "", object), {}, {}
        kinds_V = np.full(size, UNKNOWN, np.int8)
        for token, index in vocab.items():
            piece = self._piece(token)
            if isinstance(piece, bytes):
                raw[index], kinds_V[index] = piece, PARTIAL
                continue
            pieces_V[index], kinds_V[index] = piece, WHOLE
            if self.opener_drops and self.opener_drops in token:
                openers[index] = self._replaced(token.replace(self.opener_drops, ""))
        lengths_V = np.fromiter(map(len, pieces_V), np.int64, size)
        return TokenTable(pieces_V, openers, raw, lengths_V, kinds_V, not self.byte_level, self.strip)

    def _piece(self, token: str) -> str | bytes:
        if self.byte_level:
            # A token with a character outside the alphabet (an added token) stands for itself.
            alphabet = byte_level_alphabet()
            data = bytes(alphabet[c] for c in token) if all(c in alphabet for c in token) else token.encode()
            try:
                return data.decode()
            except UnicodeDecodeError:
                return data
        if self.byte_fallback and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            try:
                return bytes([int(token[3:5], 16)])
            except ValueError:
                pass
        return self._replaced(token)

    def _replaced(self, token: str) -> str:
        for old, new in self.replacements:
            token = token.replace(old, new)
        return token
