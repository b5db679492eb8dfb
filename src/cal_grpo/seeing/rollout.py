"""One line of ``samples.jsonl``: an answer, what the oracle said of it, and the advantages of its tokens."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class VerdictSeen(_Seen):
    """What the oracle said, and why it came to nothing (``missed``) where it did.

    ``copies_reference``: the correction is the reference's own words, in a response that is not written as the reference is.
    """

    tag: str
    critique: str = ""
    segment: str = ""
    confidence: float | None = None
    missed: str | None = None
    correction: str | None = None
    copies_reference: bool | None = None


class SpanSeen(_Seen):
    """Where the quote is, half-open, in tokens and in characters of the response."""

    tokens: tuple[NonNegativeInt, NonNegativeInt]
    characters: tuple[NonNegativeInt, NonNegativeInt]
    method: str = ""
    score: float | None = None


class Piece(NamedTuple):
    """A stretch of the response whose tokens have one advantage.

    Attributes:
        text: its characters.
        advantage: of each of its tokens; None where a run of an older version does not tell.
        tokens: half-open, None where that is not known.
        blamed: whether it is part of the quote.
    """

    text: str
    advantage: float | None
    tokens: tuple[int, int] | None
    blamed: bool


class Rollout(_Seen):
    """One answer. ``row`` counts the rollouts of a step that were written, from 1."""

    step: int
    row: int = 0
    question: str
    reference: str = ""
    response: str
    tokens: NonNegativeInt
    correct: bool
    extracted: str | None = None
    expected: str | None = None
    reward: float | None = None
    advantages: list[tuple[float, NonNegativeInt]] = Field(default_factory=list)
    advantage_characters: list[NonNegativeInt] | None = None
    verdict: VerdictSeen | None = None
    span: SpanSeen | None = None
    miss: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "Rollout":
        if self.span is not None:
            (start, end), length = self.span.characters, len(self.response)
            if not start <= end <= length:
                raise ValueError(f"span [{start}, {end}) does not lie in a response of {length} characters")
        if (lengths := self.advantage_characters) is not None and (
            len(lengths) != len(self.advantages) or sum(lengths) > len(self.response)
        ):
            raise ValueError("advantage_characters does not fit advantages and response")
        return self

    @property
    def outcome(self) -> str:
        """``right``, ``blamed``, the reason of a miss, or ``wrong`` where nothing was asked."""
        if self.correct:
            return "right"
        if self.span is not None:
            return "blamed"
        return (self.verdict and self.verdict.missed) or self.miss or "wrong"

    def pieces(self) -> list[Piece]:
        """The response cut where the advantage changes and where the quote begins and ends. Joined, it is the response."""
        start, end = self.span.characters if self.span is not None else (0, 0)
        pieces = []
        for left, right, advantage, tokens in self._runs():
            edges = sorted({left, right, *(at for at in (start, end) if left < at < right)})
            for a, b in itertools.pairwise(edges):
                pieces.append(Piece(self.response[a:b], advantage, tokens, start <= a < end))
        return pieces

    def _runs(self) -> Iterator[tuple[int, int, float | None, tuple[int, int] | None]]:
        ends = self._run_ends()
        if ends is None:
            yield 0, len(self.response), None, None
            return
        begin = token = 0
        for (advantage, count), end in zip(self.advantages, ends, strict=True):
            if end > begin:
                yield begin, end, advantage, (token, token + count)
            begin, token = max(begin, end), token + count
        if begin < len(self.response):
            yield begin, len(self.response), None, None

    def _run_ends(self) -> list[int] | None:
        """Characters at which the runs of advantages end."""
        if self.advantage_characters is not None:
            return list(itertools.accumulate(self.advantage_characters))
        # Before runs had their characters: only the places where the quote begins and ends are known.
        known = {0: 0, self.tokens: len(self.response)}
        if self.span is not None:
            known = dict(zip(self.span.tokens, self.span.characters, strict=True)) | known
        ends = [known.get(token) for token in itertools.accumulate(count for _, count in self.advantages)]
        return None if None in ends else [end for end in ends if end is not None]
