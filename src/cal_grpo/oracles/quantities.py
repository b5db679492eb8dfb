"""What a text states in numbers: equations, recomputed exactly, and the numbers it mentions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from cal_grpo.oracles.expressions import Chain, Expression, chains, is_computed, operands
from cal_grpo.oracles.lexer import Token, tokenize

# GSM8K's annotation and the number behind it, which repeats its result.
_ANNOTATION = re.compile(r"<<([^<>\n]{1,200})>>[ $]*(\d+(?:[ ,]\d{3}(?!\d))*(?:\.\d+)?|\.\d+)?")
_ROUNDED = re.compile(r"\b(?:round|about|approx|nearest|roughly|remainder|whole|almost|nearly)", re.IGNORECASE)
# Words of one kind measure the same thing: 1 hour + 10 minutes = 70 minutes cannot be recomputed without their units.
_MEASURES = [
    "second seconds minute minutes hour hours day days week weeks month months year years min mins sec hr hrs".split(),
    "cent cents dollar dollars penny pennies nickel nickels dime dimes quarter quarters".split(),
    "inch inches foot feet yard yards mile miles cm m km mm meter meters centimeter centimeters kilometer kilometers".split(),
    "ounce ounces pound pounds oz lb lbs gram grams g kg kilogram kilograms ton tons".split(),
    "ml l liter liters litre litres cup cups pint pints quart quarts gallon gallons tablespoon tablespoons teaspoon".split(),
    "dozen dozens pair pairs".split(),
]
_NOISE = Fraction(1, 10**9)  # 0.1 * 3 = 0.30000000000000004, as a computer writes
_MEASURE_OF = {word.rstrip("s"): i for i, words in enumerate(_MEASURES) for word in words}


@dataclass(frozen=True, slots=True)
class Equation:
    """``sides`` of one written chain ``a = b = c`` with their exact values; ``text`` as written."""

    text: str
    sides: tuple[Expression, ...]
    values: tuple[Fraction, ...]
    decimals: tuple[int, ...]  # written decimals of each side that is a single number, else 0
    percent: bool
    rounded: bool  # in words
    mixed: bool  # units of one kind, hours and minutes; or 2m + 55, which may be metres or an unknown

    @property
    def result(self) -> Fraction:
        return self.values[-1]

    def false_side(self) -> int | None:
        """Index of the first side that does not equal the one before it, None when the chain is true.

        What people write and mean right is let through: results rounded or cut to the decimals written; 0.25 for 25 %;
        7 - 9 for 9 - 7; and a running total, 3 * 4 = 12 + 5 = 17.
        """
        if self.mixed:
            return None
        for i in range(1, len(self.values)):
            left, right = self.values[i - 1], self.values[i]
            if abs(left - right) <= _NOISE * abs(left) or (self.percent and (left == 100 * right or right == 100 * left)):
                continue
            if not is_computed(self.sides[i - 1]) and not is_computed(self.sides[i]) and not self.decimals[i - 1]:
                continue  # 2 hours = 120 minutes
            if self._is_rounded(left, right, self.decimals[i]) or self._runs_on(i):
                continue
            if left == -right and self.sides[i - 1][0] == "sum" and len(self.sides[i - 1][1]) == 2:
                continue
            return i
        return None

    def _is_rounded(self, left: Fraction, right: Fraction, decimals: int) -> bool:
        scales = (Fraction(1), Fraction(100), Fraction(1, 100)) if self.percent else (Fraction(1),)
        ulp = Fraction(1, 10**decimals)
        for scale in scales:
            exact = left * scale
            if (exact / ulp).denominator == 1:  # nothing to round
                continue
            if abs(exact - right) < ulp and (decimals or self.rounded or _divides(self.sides)):
                return True
        return False

    def _runs_on(self, i: int) -> bool:
        side = self.sides[i]
        while side[0] in ("sum", "product"):
            side = side[1][0][1]
        return is_computed(self.sides[i]) and side[0] == "number" and side[1] == self.values[i - 1]


def _divides(sides: tuple[Expression, ...]) -> bool:
    return any(side[0] == "product" and any(exponent < 0 for exponent, _ in side[1]) for side in sides)


def equations(text: str, tokens: list[Token] | None = None) -> Iterator[Equation]:
    """Every equation between plain numbers in a text, from left to right, GSM8K's ``<<a*b=c>>`` annotations first."""
    for match in _ANNOTATION.finditer(text):
        yield from equations(f"{match[1]}={match[2]}" if match[2] else match[1])
    tokens = tokenize(text) if tokens is None else tokens
    for chain in chains(tokens):
        equation = _as_equation(chain, tokens, text)
        if equation is not None:
            yield equation


def _as_equation(chain: Chain, tokens: list[Token], text: str) -> Equation | None:
    pairs = list(zip(chain.sides, chain.values, strict=True))
    if len(pairs) > 1 and _is_name(pairs[0][0], tokens):
        pairs.pop(0)
    sides, values = tuple(s for s, _ in pairs), tuple(v for _, v in pairs)
    if len(sides) < 2 or not all(isinstance(v, Fraction) for v in values) or not any(map(is_computed, sides)):
        return None
    written = text[tokens[chain.start].start : tokens[chain.end - 1].end]
    kinds = [_MEASURE_OF.get(t.text.rstrip("s")) for t in tokens[chain.start : chain.end + 2] if t.kind == "word"]
    words = {t.text.rstrip("s") for t in tokens[chain.start : chain.end + 2] if t.kind == "word"}
    letters = any(t.kind == "word" and t.glued and len(t.text) == 1 for t in tokens[chain.start : chain.end])
    mixed = letters or any(len({w for w in words if _MEASURE_OF.get(w) == kind}) > 1 for kind in set(kinds) - {None})
    return Equation(
        written,
        sides,
        tuple(v for v in values if isinstance(v, Fraction)),
        tuple(_decimals(side, tokens) for side in sides),
        "%" in written or "cent" in text,
        chain.about or bool(_ROUNDED.search(text)),
        mixed,
    )


def _is_name(side: Expression, tokens: list[Token]) -> bool:
    """Whether a first side says what is reckoned: ``5 friends = 75 + 15``, ``1/3 of Solomon = 66/3``."""
    if not is_computed(side):
        return True
    written = operands(side)
    if len(written) != 2:
        return False
    last = written[1][1]
    return tokens[last].glued and last + 1 < len(tokens) and tokens[last + 1].kind == "word"


def _decimals(side: Expression, tokens: list[Token]) -> int:
    return tokens[side[2]].decimals if side[0] == "number" and side[2] >= 0 else 0


def numbers(text: str) -> list[Fraction]:
    """Every number of a text, in order, thousands separators read."""
    return [t.value for t in tokenize(text) if t.value is not None]
