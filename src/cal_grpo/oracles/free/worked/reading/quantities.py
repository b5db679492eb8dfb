"""Written equations, recomputed exactly."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from cal_grpo.oracles.free.worked.reading.expressions import Chain, chains
from cal_grpo.oracles.free.worked.reading.lexer import Token, tokenize
from cal_grpo.oracles.free.worked.reading.values import Expression, evaluate, is_computed, is_percentage, operands

# GSM8K's annotation and the number behind it, which repeats its result.
ANNOTATION = re.compile(r"<<([^<>\n]{1,200})>>[ $]*(\d+(?:[ ,]\d{3}(?![\d-]))*(?:\.\d+)?|\.\d+)?")
_ROUNDED = re.compile(r"\b(?:round|about|approx|nearest|roughly|remainder|whole|almost|nearly)", re.IGNORECASE)
_NOISE, _NOISY = Fraction(1, 10**9), 9  # 0.1 * 3 = 0.30000000000000004, as a computer writes: so many decimals or more
# Words of one line measure the same thing: 1 hour + 10 minutes = 70 minutes cannot be recomputed without its units.
_MEASURES = """
second minute hour day week month year min sec hr
cent dollar penny pennies nickel dime quarter
inch inches foot feet yard mile cm m km mm meter metre centimeter kilometer
ounce pound oz lb gram g kg kilogram ton
ml l liter litre cup pint quart gallon tablespoon teaspoon
dozen pair
"""
_MEASURE_OF = {word: number for number, line in enumerate(_MEASURES.split("\n")) for word in line.split()}


@dataclass(frozen=True, slots=True)
class Equation:
    """One written chain ``a = b = c``.

    Attributes:
        text: as written.
        start, end: its half-open characters in the text it came from; of an annotation, those of the whole.
        sides, values: the expressions and their exact values.
        decimals: written decimals of each side that is a single number, else 0.
        hundredfold: percent or cents are in play: 0.25 and 25 are alike.
        rounded: the text says so.
        worded: there are words, which may be units, among the numbers.
        mixed: of one kind of unit more than one is written, or 2m may be metres or an unknown: not to be judged.
    """

    text: str
    start: int
    end: int
    sides: tuple[Expression, ...]
    values: tuple[Fraction, ...]
    decimals: tuple[int, ...]
    hundredfold: bool
    rounded: bool
    worded: bool
    mixed: bool

    @property
    def result(self) -> Fraction:
        return self.values[-1]

    def false_side(self) -> int | None:
        """Index of the first side that does not equal the one before it, None when the chain is true.

        What people write and mean right is let through: results rounded or cut to the decimals written; quotients cut
        to whole numbers; 25 % for 0.25; 7 - 9 for 9 - 7; and a running total, 3 * 4 = 12 + 5 = 17.
        """
        if self.mixed:
            return None
        for i in range(1, len(self.values)):
            left, right = self.values[i - 1], self.values[i]
            if left == right or (self.decimals[i] >= _NOISY and abs(left - right) <= _NOISE * abs(left)):
                continue
            if self.hundredfold and (left == 100 * right or right == 100 * left):
                continue
            if self.worded and not is_computed(self.sides[i - 1]) and not is_computed(self.sides[i]):
                continue  # 2 hours = 120 minutes
            if right in _of_itself(self.sides[i - 1]) or left in _of_itself(self.sides[i]):
                continue  # 100 - 20% = 80
            if self._is_rounded(left, right, self.decimals[i]) or self._runs_on(i):
                continue
            side = self.sides[i - 1]
            if left == -right and (not is_computed(side) or (side[0] == "sum" and len(side[1]) == 2)):
                continue
            return i
        return None

    def _is_rounded(self, left: Fraction, right: Fraction, decimals: int) -> bool:
        ulp = Fraction(1, 10**decimals)
        if not (decimals or self.rounded or any(map(_divides, self.sides))):
            return False
        scales = (Fraction(1), Fraction(100), Fraction(1, 100)) if self.hundredfold else (Fraction(1),)
        return any(abs(left * scale - right) < ulp and (left * scale / ulp).denominator > 1 for scale in scales)

    def _runs_on(self, i: int) -> bool:
        side = self.sides[i]
        while side[0] in ("sum", "product"):
            side = side[1][0][1]
        return is_computed(self.sides[i]) and side[0] == "number" and side[1] == self.values[i - 1]


def _of_itself(side: Expression) -> tuple[Fraction, ...]:
    """The value of a sum whose last term is a percentage, of what stands before it."""
    if side[0] != "sum" or len(side[1]) != 2:
        return ()
    (first, whole), (sign, part) = side[1]
    value, share = evaluate(whole), evaluate(part)
    if not is_percentage(part) or not isinstance(value, Fraction) or not isinstance(share, Fraction):
        return ()
    return (first * value * (1 + sign * share),)


def _divides(side: Expression) -> bool:
    return side[0] == "product" and any(exponent < 0 for exponent, _ in side[1])


def equations(text: str, tokens: list[Token] | None = None) -> Iterator[Equation]:
    """Every equation between plain numbers in a text: GSM8K's ``<<a*b=c>>`` annotations, then what is written.

    ``tokens`` are those of the text, if they are at hand.
    """
    if "<<" in text:
        for match in ANNOTATION.finditer(text):
            inner = f"{match[1]}={match[2]}" if match[2] else match[1]
            tokens_inside = tokenize(inner)
            for chain in chains(tokens_inside):
                if (equation := as_equation(chain, tokens_inside, inner, match.span())) is not None:
                    yield equation
    tokens = tokenize(text) if tokens is None else tokens
    for chain in chains(tokens):
        if (equation := as_equation(chain, tokens, text)) is not None:
            yield equation


def as_equation(chain: Chain, tokens: list[Token], text: str, within: tuple[int, int] | None = None) -> Equation | None:
    """A chain as an equation between numbers, None when it is none. ``within`` is where the annotation stands."""
    sides, values = chain.sides, chain.values
    if len(sides) > 1 and _is_name(sides[0], tokens):
        sides, values = sides[1:], values[1:]
    numbers = tuple(value for value in values if isinstance(value, Fraction))
    if len(sides) < 2 or len(numbers) < len(sides) or not any(map(is_computed, sides)):
        return None
    written = text[tokens[chain.start].start : tokens[chain.end - 1].end]
    start, end = within or (tokens[chain.start].start, tokens[chain.end - 1].end)
    decimals = tuple(tokens[side[2]].decimals if side[0] == "number" and side[2] >= 0 else 0 for side in sides)
    if all(number == numbers[0] for number in numbers):  # true as it stands: how it was meant does not matter
        return Equation(written, start, end, sides, numbers, decimals, False, False, False, False)
    near = tokens[chain.start : chain.end + 2]
    units = {t.text.rstrip("s") if len(t.text) > 2 else t.text for t in near if t.kind == "word"}
    measures = units | {"dollar"} if "$" in written else units  # $5 - 50 cents
    measured = [_MEASURE_OF[unit] for unit in measures if unit in _MEASURE_OF]
    letters = any(t.kind == "word" and t.glued and len(t.text) == 1 for t in near)
    hundredfold = any(t.kind == "%" for t in near) or _says_cents(text)
    about = chain.about or _says_rounded(text)
    mixed = letters or len(set(measured)) < len(measured)
    return Equation(written, start, end, sides, numbers, decimals, hundredfold, about, bool(units), mixed)


@lru_cache(maxsize=16)  # asked for every equation of a text
def _says_rounded(text: str) -> bool:
    return _ROUNDED.search(text) is not None


@lru_cache(maxsize=16)
def _says_cents(text: str) -> bool:
    return "cent" in text


def _is_name(side: Expression, tokens: list[Token]) -> bool:
    """Whether a first side says what is reckoned: ``5 friends = 75 + 15``, ``1/3 of Solomon = 66/3``."""
    if not is_computed(side):
        return True
    written = operands(side)
    if len(written) != 2:
        return False
    last = written[1][1]
    return tokens[last].glued and last + 1 < len(tokens) and tokens[last + 1].kind == "word"
