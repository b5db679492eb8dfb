"""Responses with labelled steps, and the tokens that share a visible character with one, worked out from bytes alone."""

import json
import random
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers

_ALPHABET = frozenset(pre_tokenizers.ByteLevel.alphabet())


@dataclass(frozen=True)
class Step:
    """The characters [start, end) of a response, its ``index``-th line."""

    question: str
    response: str
    start: int
    end: int
    index: int

    @property
    def text(self) -> str:
        return self.response[self.start : self.end]


def load(path: Path) -> list[Step]:
    """The first wrong step of each row; of rows that hold whole solutions, every line of the wrong ones."""
    if not path.is_file():
        sys.exit(f"{path}: no such file")
    steps: list[Step] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        row = _row(line)
        if row is None:
            sys.exit(f"{path.name}, line {number}: this is no JSON object")
        if {"response", "step_spans", "first_error_step"} <= row.keys():
            index = row["first_error_step"]
            steps.append(Step(row["question"], row["response"], *row["step_spans"][index], index))
        elif wrong := [v["solution"] for v in row.values() if isinstance(v, dict) and not v.get("is_correct", True)]:
            for solution in wrong:
                steps += [Step(row["question"], solution, *span, i) for i, span in enumerate(lines(solution))]
        elif not any(isinstance(v, dict) and "is_correct" in v for v in row.values()):
            sys.exit(f"{path.name}, line {number}: got {sorted(row)}; expected response, step_spans and first_error_step")
    if not steps:
        sys.exit(f"{path.name}: no quotes in it")
    return steps


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def load_tokenizer(folder: Path) -> Tokenizer:
    file = folder / "tokenizer.json"
    if not file.is_file():
        sys.exit(f"{file}: no such file")
    return Tokenizer.from_file(str(file))


def is_visible(c: str) -> bool:
    """Neither white space nor a control or format character."""
    return not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf")


def lines(text: str) -> list[tuple[int, int]]:
    """The lines that are not blank, without surrounding white space."""
    spans, at = [], 0
    for line in text.split("\n"):
        if line.strip():
            start = at + len(line) - len(line.lstrip())
            spans.append((start, start + len(line.strip())))
        at += len(line) + 1
    return spans


@dataclass(frozen=True)
class Gold:
    """What the tokens of one response stand for, in bytes of its UTF-8."""

    text: str
    ids: list[int]
    sizes: list[int]

    @cached_property
    def byte_starts(self) -> list[int]:
        starts, at = [], 0
        for c in self.text:
            starts.append(at)
            at += len(c.encode())
        return [*starts, at]

    def tokens(self, start: int, end: int) -> tuple[int, int] | None:
        """From the first to the last token that shares a visible character with ``text[start:end]``, half-open."""
        visible = [i for i in range(start, end) if is_visible(self.text[i])]
        if not visible:
            return None
        low, high = self.byte_starts[visible[0]], self.byte_starts[visible[-1] + 1]
        hit, at = [], 0
        for t, size in enumerate(self.sizes):
            if at < high and at + size > low:
                hit.append(t)
            at += size
        return hit[0], hit[-1] + 1


class Bench:
    """A tokenizer with its own count of the bytes that each token stands for."""

    def __init__(self, name: str, tokenizer: Tokenizer) -> None:
        self.name, self.tokenizer = name, tokenizer
        self.vocab = tokenizer.get_vocab()
        self.pieces = {i: piece for piece, i in self.vocab.items()}
        self.byte_level = "ByteLevel" in str(type(tokenizer.decoder))
        self.can_spell_bytes = "<0x41>" in self.vocab

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def gold(self, text: str, ids: list[int]) -> Gold | None:
        """None if these ids do not decode to the text, or their bytes do not add up to it."""
        if self.tokenizer.decode(ids, skip_special_tokens=False) != text:
            return None
        sizes = [self._size(self.pieces[i]) for i in ids]
        surplus = sum(sizes) - len(text.encode())
        for t in range(len(sizes)):  # the space that SentencePiece puts before the text and takes off again
            taken = min(surplus, sizes[t])
            sizes[t], surplus = sizes[t] - taken, surplus - taken
            if not surplus:
                break
        return Gold(text, ids, sizes) if not surplus else None

    def _size(self, piece: str) -> int:
        if self.byte_level:
            return len(piece) if _ALPHABET.issuperset(piece) else len(piece.encode())
        return 1 if self._is_byte(piece) else len(piece.replace("▁", " ").encode())

    @staticmethod
    def _is_byte(piece: str) -> bool:
        return len(piece) == 6 and piece.startswith("<0x")

    def resegmented(self, ids: Sequence[int], rng: random.Random) -> list[int]:
        """Other ids for the same text: tokens split at random, down to bytes, and neighbours joined."""
        return list(self._joined([i for t in ids for i in self._split(self.pieces[t], rng)], rng))

    def _split(self, piece: str, rng: random.Random) -> Iterator[int]:
        if rng.random() < 0.4:
            cuts = [k for k in range(1, len(piece)) if piece[:k] in self.vocab and piece[k:] in self.vocab]
            if cuts and not self._is_byte(piece):
                cut = rng.choice(cuts)
                yield from self._split(piece[:cut], rng)
                yield from self._split(piece[cut:], rng)
                return
            if self.can_spell_bytes and not self._is_byte(piece) and rng.random() < 0.3 and "▁" not in piece:
                yield from (self.vocab[f"<0x{b:02X}>"] for b in piece.encode())
                return
        yield self.vocab[piece]

    def _joined(self, ids: list[int], rng: random.Random) -> Iterator[int]:
        t = 0
        while t < len(ids):
            pair = "".join(self.pieces[i] for i in ids[t : t + 2])
            is_pair = t + 1 < len(ids) and pair in self.vocab and not any(self._is_byte(self.pieces[i]) for i in ids[t : t + 2])
            if is_pair and rng.random() < 0.3:
                yield self.vocab[pair]
                t += 2
            else:
                yield ids[t]
                t += 1
