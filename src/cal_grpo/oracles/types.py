"""What an oracle is asked, and what it answers."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Again = Literal["", "settings", "quote"]


class Tag(StrEnum):
    """The outcome of asking an oracle. Only ``FOUND`` carries a segment.

    ``NO_ERROR`` and ``ABSTAINED`` are answers without a segment: ``on_miss`` decides what the row gets.
    All others are failures of the call: ``on_failure`` decides. Neither ever becomes a reward.
    """

    FOUND = "found"
    NO_ERROR = "no_error"  # the oracle sees nothing wrong
    ABSTAINED = "abstained"  # the oracle sees that something is wrong but is not sure enough where
    REFUSED = "refused"  # a refusal or a safety block
    MALFORMED = "malformed"  # empty, truncated or off-schema answer
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"  # 5xx, dropped connection
    REJECTED = "rejected"  # 400, 401, 403, a quota that is used up: asking again cannot help
    OVER_BUDGET = "over_budget"
    CIRCUIT_OPEN = "circuit_open"  # not asked: too many failures in a row

    @property
    def is_failure(self) -> bool:
        return self not in (Tag.FOUND, Tag.NO_ERROR, Tag.ABSTAINED)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer cost. Zero for a free oracle; a cached verdict keeps the usage of the call that bought it."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0  # None: the price of the model is unknown
    latency_s: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """Both together; the price is unknown where either's is."""
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
            self.latency_s + other.latency_s,
        )


@dataclass(frozen=True, slots=True)
class Query:
    """One wrong response to be judged. All fields are plain text; ``response`` is untrusted."""

    question: str
    reference: str
    response: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """An oracle's answer.

    Attributes:
        tag: ``FOUND``, or why there is no segment.
        critique: the oracle's reasoning, written before the quote.
        segment: the exact quote from the response where it first goes wrong; "" unless ``FOUND``.
        hint: the text just before the quote, or the step's 0-based index as digits; decides between repetitions.
        confidence: 0 to 1 where the oracle has one.
        usage: calls, tokens, dollars, seconds; all attempts together.
        cached: True when the answer cost no call of its own: it came from a cache or a replay, or the same question was
            already in flight.
        detail: one line about a failure, or about a quote that is not in the response; never a key or a header.
        retry_after_s: how long a server that refused asked to wait.
        again: what asking once more may mend: the "settings", which were changed since, or the "quote".
        correction: what should have stood in the response from the start of the quote's step to its end, in the response's own
            words as far as possible; "" where the oracle does not say, and unless ``FOUND``. See ``corrected``.

    Raises:
        ValueError: it has a segment without being ``FOUND``, or is ``FOUND`` without one, or has a correction without being it.
    """

    tag: Tag
    critique: str = ""
    segment: str = ""
    hint: str | None = None
    confidence: float | None = None
    usage: Usage = field(default_factory=Usage)
    cached: bool = False
    detail: str = ""
    retry_after_s: float | None = None
    again: Again = ""
    correction: str = ""

    def __post_init__(self) -> None:
        if (self.tag is Tag.FOUND) != bool(self.segment):
            raise ValueError(
                f"a verdict has a segment exactly when its tag is 'found'; got tag={self.tag!s}, segment={self.segment!r}"
            )
        if self.correction and self.tag is not Tag.FOUND:
            raise ValueError(f"a verdict has a correction only when its tag is 'found'; got tag={self.tag!s}")
