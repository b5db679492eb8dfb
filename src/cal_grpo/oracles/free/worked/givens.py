"""The numbers that a question gives, and what they turn into: 25 % is also 0.25, 75 % and 1.25.

Each given number is one bit, so that the numbers a result depends on are a bit mask, and two ways to the same result can
be told to start from the same numbers.
"""

import re

from cal_grpo.oracles.free.worked.reading import rounded, tokenize

_WORDS: dict[str, tuple[float, ...]] = {
    "one": (1,), "two": (2,), "three": (3,), "four": (4,), "five": (5,), "six": (6,), "seven": (7,), "eight": (8,),
    "nine": (9,), "ten": (10,), "eleven": (11,), "twelve": (12,), "thirteen": (13,), "fourteen": (14,), "fifteen": (15,),
    "sixteen": (16,), "seventeen": (17,), "eighteen": (18,), "nineteen": (19,), "twenty": (20,), "thirty": (30,),
    "forty": (40,), "fifty": (50,), "sixty": (60,), "seventy": (70,), "eighty": (80,), "ninety": (90,), "hundred": (100,),
    "thousand": (1000,), "million": (1_000_000,), "dozen": (12,), "dozens": (12,), "single": (1,), "pair": (2,),
    "couple": (2,), "both": (2,), "twice": (2,), "double": (2,), "doubled": (2,), "doubles": (2,), "thrice": (3,),
    "triple": (3,), "tripled": (3,), "half": (2, 1 / 2), "halves": (2, 1 / 2), "third": (3, 1 / 3), "thirds": (3, 1 / 3),
    "quarter": (4, 1 / 4), "quarters": (4, 1 / 4), "fourth": (4, 1 / 4), "fourths": (4, 1 / 4), "fifth": (5, 1 / 5),
    "fifths": (5, 1 / 5), "sixth": (6, 1 / 6), "sixths": (6, 1 / 6), "eighth": (8, 1 / 8), "eighths": (8, 1 / 8),
    "tenth": (10, 1 / 10), "tenths": (10, 1 / 10),
}  # fmt: skip
# Everybody knows these; they tell nothing about where a result comes from.
CONSTANTS = frozenset(map(rounded, (1, 2, 7, 12, 24, 30, 52, 60, 100, 365, 1000, 3600, 0.5, 0.01, 1 / 7, 1 / 12, 1 / 60)))
_ORDINAL = re.compile(r"(\d{1,4})(?:st|nd|rd|th)$")


class Givens:
    """The given numbers of one question. ``values`` are those written; ``bit`` knows their disguises too."""

    def __init__(self, question: str) -> None:
        written = [rounded(value) for value in _written(question)]
        self.values = frozenset(written)
        self._bits: dict[float, int] = {}
        for value in written:
            self._bits.setdefault(value, 1 << len(self._bits))
        for value in written:  # a half is 2 and 1/2 alike
            if value and (inverse := rounded(1 / value)) in self._bits:
                self._bits[inverse] = self._bits[value]
        self._disguises: dict[float, int] = {}
        for turn in _TURNS:
            for value in written:
                self._disguises.setdefault(rounded(turn(value)), self._bits[value])
        self._given = (1 << len(self._bits)) - 1
        self.common = self._common()
        self._foreign = 0

    def _common(self) -> int:
        """The mask of givens that anybody may use without having read the question."""
        mask = 0
        for value, bit in self._bits.items():
            mask |= bit if value in (1.0, 2.0) else 0
        return mask

    def told(self, mask: int) -> int:
        """The part of a mask that stands for given numbers."""
        return mask & self._given

    def is_foreign(self, bit: int) -> bool:
        return bit > self._given

    def close(self) -> None:
        """From now on, all numbers that are not known yet are one: foreign to question and reference."""
        self._foreign = 1 << len(self._bits)

    def __contains__(self, value: float) -> bool:
        return value in self.values

    def turns_into(self, value: float) -> bool:
        """Whether a value is a given number in disguise, or one itself."""
        return value in self._disguises

    def bit(self, value: float) -> int:
        """The mask of a number: its given's, 0 for a constant, a bit of its own for any other (see ``close``)."""
        known = self._bits.get(value) or self._disguises.get(value)
        if known is not None:
            return known
        if value in CONSTANTS:
            return 0
        return self._foreign or self._bits.setdefault(value, 1 << len(self._bits))


_TURNS = (
    lambda v: v, lambda v: v / 100, lambda v: 100 - v, lambda v: 1 - v / 100, lambda v: 1 + v / 100, lambda v: 100 + v,
    lambda v: 1 - v, lambda v: 1 + v, lambda v: 1 / v if v else 0.0, lambda v: v * 100, lambda v: v / 1000,
    lambda v: v * 1000,
)  # fmt: skip


def _written(question: str) -> list[float]:
    found: list[float] = []
    for token in tokenize(question):
        if token.value is not None:
            found.append(float(token.value))
        elif ":" in token.text:
            found += [float(part) for part in token.text.split(":") if part.isdecimal()]
        elif ordinal := _ORDINAL.match(token.text):
            number = int(ordinal[1])
            found += [float(number), 1 / number] if number else []
        else:
            for word in [token.text] if token.text in _WORDS else token.text.split("-"):
                found += _WORDS.get(word, ())
    return found
