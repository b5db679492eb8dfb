"""What two spellings of one quote have in common: its words, numbers and operators in a row."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cal_grpo.alignment.scanner import Atom, scan

# Words that carry the quantity: a quote that has another one in its place is about something else.
STRICT_WORDS = frozenset((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty",
    "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion",
    "dozen", "half", "third", "quarter", "twice", "thrice", "double", "triple", "first", "second", "plus",
    "minus", "times", "divided", "multiplied", "added", "subtracted", "add", "subtract", "multiply", "divide",
    "more", "less", "fewer", "not", "no", "never", "greater", "smaller", "increase", "decrease",
))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Atoms:
    """The atoms of a text, searchable as a sequence."""

    items: Sequence[Atom]

    @classmethod
    def scan(cls, text: str) -> "Atoms":
        """The atoms of a text."""
        return cls(list(scan(text)))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def key(self) -> str:
        """All atoms in one string, each between separators that no atom contains."""
        return "\x1f" + "".join(a.text + "\x1f" for a in self.items)

    @cached_property
    def _key_starts(self) -> list[int]:
        starts, at = [], 0
        for atom in self.items:
            starts.append(at)
            at += len(atom.text) + 1
        return starts

    @cached_property
    def extras(self) -> frozenset[str]:
        """Which kinds of extra atoms there are."""
        return frozenset(a.extra for a in self.items if a.extra)

    def without(self, extras: frozenset[str]) -> "Atoms":
        """The same without those extra atoms; itself if it has none of them."""
        extras &= self.extras
        if not extras:
            return self
        if extras not in self._views:
            self._views[extras] = Atoms([a for a in self.items if a.extra not in extras])
        return self._views[extras]

    @cached_property
    def _views(self) -> "dict[frozenset[str], Atoms]":
        return {}

    def find(self, quote: "Atoms") -> Iterator[int]:
        """The positions at which all atoms of the quote stand in a row."""
        at = self.key.find(quote.key) if quote.items else -1
        while at >= 0:
            yield bisect_left(self._key_starts, at)
            at = self.key.find(quote.key, at + 1)
