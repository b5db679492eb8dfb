"""Character offsets of sampled tokens.

The sampled ids are the truth; the text is what the tokenizer makes of them, and every offset points into exactly that
text. Nothing is re-tokenised: ids that the tokenizer itself would never produce are as good as any.

The tokenizer's own decoder is followed step by step on the pieces of the single tokens, bytes kept apart, so that one
pass gives the text and every token's place in it. Where a decoder has a step that is not known here, or the result
does not equal the tokenizer's, prefixes are decoded instead: slower, but right for any tokenizer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Decoded:
    """A completion as text, and where each token lies in it.

    Attributes:
        text: ``decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)``.
        starts, ends: int64 (T,), half-open character spans. A character that several tokens spell out belongs to
            each of them; a token that adds nothing visible has an empty span.
    """

    text: str
    starts: np.ndarray
    ends: np.ndarray


class Offsets:
    """Decodes the ids of one tokenizer. The table of token pieces is built once, as tokens are met."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        self._steps = _decoder_steps(self._backend)
        self._pieces: dict[int, str] = {}

    def decode(self, token_ids: Sequence[int]) -> Decoded:
        """Text and offsets of ids as sampled."""
        ids = [int(i) for i in token_ids]
        text = self._text(ids)
        if self._steps is not None:
            spans = _follow(self._steps, [self._piece(i) for i in ids])
            if spans is not None and spans[0] == text:
                return Decoded(text, *spans[1:])
        return self._by_prefixes(ids, text)

    def _text(self, ids: list[int]) -> str:
        if self._backend is self._tokenizer:
            return str(self._tokenizer.decode(ids, skip_special_tokens=False))
        return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _piece(self, token_id: int) -> str:
        if token_id not in self._pieces:
            # Models pad their vocabulary: an id behind the tokenizer's last one can be sampled, and decodes to nothing.
            piece = self._backend.id_to_token(token_id) or ""
            self._pieces[token_id] = piece
        return self._pieces[token_id]

    def _by_prefixes(self, ids: list[int], text: str) -> Decoded:
        """A token ends where the text of the ids up to it stops agreeing with the whole text."""
        ends = np.zeros(len(ids), dtype=np.int64)
        for i in range(len(ids)):
            prefix = self._text(ids[: i + 1])
            agreed = len(prefix) if text.startswith(prefix) else _common_prefix(prefix, text)
            ends[i] = max(agreed, ends[i - 1] if i else 0)
        if len(ids):
            ends[-1] = len(text)
        return Decoded(text, np.concatenate([[0], ends[:-1]]).astype(np.int64) if len(ids) else ends.copy(), ends)


def _common_prefix(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _decoder_steps(backend: Any) -> list[dict[str, Any]] | None:
    decoder = getattr(backend, "decoder", None)
    if decoder is None:
        return None
    state = json.loads(decoder.__getstate__())
    steps = state["decoders"] if state["type"] == "Sequence" else [state]
    return steps if all(step["type"] in _STEPS for step in steps) else None


# A token on its way to text: UTF-8 bytes, and whether they are a lone byte of byte fallback.
_Piece = tuple[bytes, bool]
_Spans = tuple[str, np.ndarray, np.ndarray]


def _follow(steps: list[dict[str, Any]], tokens: list[str]) -> _Spans | None:
    pieces: list[_Piece] = [(token.encode(), False) for token in tokens]
    for step in steps:
        followed = _STEPS[step["type"]](step, pieces)
        if followed is None:
            return None
        pieces = followed
    return _join(pieces)


def _byte_level(step: dict[str, Any], pieces: list[_Piece]) -> list[_Piece]:
    return [(_unmap(raw), False) for raw, _ in pieces]


@lru_cache(maxsize=200_000)
def _unmap(raw: bytes) -> bytes:
    """Byte-level BPE spells each byte as a printable character; a token with any other character is plain text."""
    table = _byte_table()
    try:
        return bytes(table[c] for c in raw.decode())
    except KeyError:
        return raw


@lru_cache(maxsize=1)
def _byte_table() -> dict[str, int]:
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in set(printable)]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(others)}


def _replace(step: dict[str, Any], pieces: list[_Piece]) -> list[_Piece] | None:
    pattern = step["pattern"].get("String")
    if pattern is None:
        return None
    return [(raw.replace(pattern.encode(), step["content"].encode()), lone) for raw, lone in pieces]


def _byte_fallback(step: dict[str, Any], pieces: list[_Piece]) -> list[_Piece]:
    """Runs of ``<0xE2>`` become their characters; a run that is not UTF-8 becomes one U+FFFD a byte."""
    out: list[_Piece] = []
    run: list[bytes] = []

    def close() -> None:
        try:
            b"".join(run).decode()
            out.extend((byte, True) for byte in run)
        except UnicodeDecodeError:
            out.extend(("\ufffd".encode(), False) for _ in run)
        run.clear()

    for raw, lone in pieces:
        if len(raw) == 6 and raw.startswith(b"<0x") and raw.endswith(b">"):
            try:
                run.append(bytes([int(raw[3:5], 16)]))
                continue
            except ValueError:
                pass
        close()
        out.append((raw, lone))
    close()
    return out


def _strip(step: dict[str, Any], pieces: list[_Piece]) -> list[_Piece] | None:
    """After Fuse, the whole text is one piece: only its start and end are stripped."""
    if step["stop"]:
        return None
    content = step["content"].encode()
    left = step["start"]
    out = list(pieces)
    for i, (raw, lone) in enumerate(out):
        while left and raw.startswith(content):
            raw, left = raw[len(content) :], left - 1
        out[i] = (raw, lone)
        if raw or not left:
            break
    return out


def _metaspace(step: dict[str, Any], pieces: list[_Piece]) -> list[_Piece]:
    mark = step["replacement"].encode()
    out = []
    for i, (raw, lone) in enumerate(pieces):
        if i == 0 and step.get("prepend_scheme", "always") != "never" and raw.startswith(mark):
            raw = raw[len(mark) :]
        out.append((raw.replace(mark, b" "), lone))
    return out


_STEPS: dict[str, Any] = {
    "ByteLevel": _byte_level,
    "Replace": _replace,
    "ByteFallback": _byte_fallback,
    "Fuse": lambda step, pieces: pieces,
    "Strip": _strip,
    "Metaspace": _metaspace,
}


def _join(pieces: list[_Piece]) -> _Spans:
    """Bytes to text, with each token's characters: a token owns every character that it spells a byte of."""
    data = b"".join(raw for raw, _ in pieces)
    char_of_byte, text = _characters(data)
    ends_in_bytes = np.cumsum([len(raw) for raw, _ in pieces], dtype=np.int64)
    starts_in_bytes = np.concatenate([[0], ends_in_bytes[:-1]]).astype(np.int64) if pieces else ends_in_bytes
    bounds = np.append(char_of_byte, len(text))  # bounds[b]: the character that byte b belongs to
    starts = bounds[starts_in_bytes]
    ends = np.where(ends_in_bytes > starts_in_bytes, bounds[np.maximum(ends_in_bytes, 1) - 1] + 1, starts)
    return text, starts, ends


def _characters(data: bytes) -> tuple[np.ndarray, str]:
    """For each byte the index of its character in ``data.decode(errors="replace")``, and that text."""
    array = np.frombuffer(data, dtype=np.uint8)
    starts_char = (array & 0xC0) != 0x80
    text = data.decode(errors="replace")
    if "\ufffd" in text:
        starts_char = starts_char.copy()
        position = 0
        while position < len(data):
            try:
                data[position:].decode()
                break
            except UnicodeDecodeError as e:
                bad_start, bad_end = position + e.start, position + e.end
                starts_char[bad_start] = True  # Python and Rust alike write one U+FFFD for such a range
                starts_char[bad_start + 1 : bad_end] = False
                position = bad_end
    return np.cumsum(starts_char, dtype=np.int64) - 1, text
