"""What the alignment room hands on: a span of sampled tokens, or the reason why there is none."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["exact", "normalized", "fuzzy"]
MissReason = Literal["empty", "junk", "not_found", "ambiguous", "too_long"]


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """A quote found in a completion. Both spans are half-open.

    Attributes:
        start, end: indices into the *sampled* token ids, ``start < end``.
        char_start, char_end: offsets into the decoded completion of the text the quote was matched to.
        method: how the match was made, from strictest to loosest.
        score: 1.0 for ``exact`` and ``normalized``; the similarity in [0, 1] for ``fuzzy``.
    """

    start: int
    end: int
    char_start: int
    char_end: int
    method: Method
    score: float

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Miss:
    """A quote that was not mapped. ``reason`` is counted in the metrics, ``detail`` is for people."""

    reason: MissReason
    detail: str = ""
