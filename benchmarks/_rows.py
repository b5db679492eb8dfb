"""Counts of what became of one kind of quote."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cal_grpo.alignment import Miss, TokenSpan
from cal_grpo.intervals import share


@dataclass
class Row:
    """Quotes that are there, or ``negative`` ones, which are not and should be refused."""

    negative: bool = False
    n: int = 0
    exact: int = 0
    accepted: int = 0
    blamed: int = 0
    rightly: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    examples: list[Any] = field(default_factory=list)

    def add(self, got: TokenSpan | Miss, gold: tuple[int, int] | None, about: tuple[str, str]) -> None:
        """Count one quote; ``about`` is kept if it went wrong."""
        self.n += 1
        self.outcomes[got.reason if isinstance(got, Miss) else got.method] += 1
        right = self.negative
        if isinstance(got, TokenSpan):
            self.accepted += 1
            self.blamed += len(got)
            self.rightly += max(0, min(got.end, gold[1]) - max(got.start, gold[0])) if gold else 0
            right = (got.start, got.end) == gold
        self.exact += right
        if not right:
            self.examples.append((*about, got))

    def __add__(self, other: "Row") -> "Row":
        names = ("n", "exact", "accepted", "blamed", "rightly", "outcomes", "examples")
        return Row(self.negative, *(getattr(self, name) + getattr(other, name) for name in names))

    def report(self) -> dict[str, Any]:
        """The share that counts, with Wilson's 95 % interval; ``precision_of_tokens`` is of all that were blamed."""
        if self.negative:
            shares = {"accepted": _ratio(self.accepted, self.n), "interval": _interval(self.accepted, self.n)}
        else:
            shares = {
                "exact": _ratio(self.exact, self.n),
                "interval": _interval(self.exact, self.n),
                "accepted": _ratio(self.accepted, self.n),
                "precision_of_tokens": _ratio(self.rightly, self.blamed),
            }
        return {"n": self.n} | shares | {"outcomes": dict(self.outcomes.most_common())}


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def _interval(part: int, whole: int) -> list[float] | None:
    return [round(edge, 5) for edge in share(part, whole)[1:]] if whole else None
