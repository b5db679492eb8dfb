"""Arithmetic as it stands in running text, parsed with its units."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cal_grpo.oracles.free.worked.reading.lexer import Token
from cal_grpo.oracles.free.worked.reading.values import HUNDRED, Expression, Value, evaluate

_MAX_DEPTH = 20
_MAX_TERMS = 60
_MAX_UNITS = 5  # words of a unit, "slices of pizza each"
_MAX_REMARK = 40  # tokens in brackets behind a unit
# Words that end an expression: whatever follows is another thought.
_BREAKS = """
and so is are was were which that because since then if but or as means equal gives get gets has have had will would
he she it they we you i therefore thus when while x where
"""
_BREAK_WORDS = frozenset(_BREAKS.split())


@dataclass(frozen=True, slots=True)
class Chain:
    """``a = b = c`` as written, or a single expression; tokens [start, end) of the step. ``about``: a sign is ≈."""

    sides: tuple[Expression, ...]
    values: tuple[Value | None, ...]
    start: int
    end: int
    about: bool


def chains(tokens: Sequence[Token]) -> Iterator[Chain]:
    """Every chain of sides, and every expression that stands alone, from left to right.

    A side that hangs on something unread (``apples + 5 * 2 = 22``) is left out: a false alarm costs more than a miss.
    """
    parser = _Parser(tokens)
    i = 0
    while i < len(tokens):
        kind = tokens[i].kind
        opens = kind in ("number", "variable", "(", "frac")
        if not opens and not (kind == "-" and (i == 0 or tokens[i - 1].kind in ("=", "(", "stop"))):
            i += 1
            continue
        start, about = i, False
        sides: list[Expression] = []
        while True:
            try:
                side, i = parser.sum(i, 0)
            except _Unreadable:
                i += not sides
                break
            sides.append(side)
            if parser.kind(i) != "=":
                break
            about = about or tokens[i].text == "≈"
            i += 1 + (parser.kind(i + 1) == "=")  # 3000/2 = = 1500
        if sides and _goes_on(tokens, i):
            sides.pop()
        if sides and _hangs(tokens, start):
            sides.pop(0)
        if sides:
            yield Chain(tuple(sides), tuple(evaluate(side) for side in sides), start, i, about)


class _Unreadable(Exception):
    pass


class _Parser:
    """Recursive descent. Each method takes a token's index and returns an expression and the index behind it."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.kinds = [token.kind for token in tokens] + ["end"] * 8

    def kind(self, i: int) -> str:
        return self.kinds[i] if i < len(self.kinds) else "end"

    def sum(self, i: int, depth: int) -> tuple[Expression, int]:
        if depth > _MAX_DEPTH:
            raise _Unreadable
        term, i = self.product(i, depth)
        if self.kind(i) not in "+-":
            return term, i
        terms = [(1, term)]
        while self.kind(i) in "+-" and len(terms) < _MAX_TERMS:
            sign = 1 if self.kind(i) == "+" else -1
            term, i = self.product(i + 1, depth)
            terms.append((sign, term))
        return ("sum", tuple(terms)), i

    def product(self, i: int, depth: int) -> tuple[Expression, int]:
        factor, i = self.factor(i, depth)
        factors = [(1, factor)]
        while len(factors) < _MAX_TERMS:
            kind = self.kind(i)
            if kind == "*" or (kind == "/" and self.kind(i + 1) != "word"):  # not the unit of $15/week
                over_fraction = kind == "/" and self.is_tight_fraction(i + 1)
                factor, i = self.factor(i + 1, depth)
                if over_fraction:
                    bottom, i = self.factor(i + 1, depth)
                    factor = ("product", ((1, factor), (-1, bottom)))
                factors.append((1 if kind == "*" else -1, factor))
            elif self.multiplies(i):
                factor, i = self.factor(i, depth)
                factors.append((1, factor))
            else:
                break
        return (("product", tuple(factors)) if len(factors) > 1 else factor), i

    def factor(self, i: int, depth: int) -> tuple[Expression, int]:
        kind = self.kind(i)
        if kind == "number":
            result, i = self.number(i)
        elif kind == "variable":
            result, i = ("unknown", self.tokens[i].text), i + 1
        elif kind == "(":
            result, i = self.bracket(i, depth)
        elif kind == "frac":
            top, i = self.bracket(i + 1, depth)
            bottom, i = self.bracket(i, depth)
            result = ("product", ((1, top), (-1, bottom)))
        elif kind == "-" and depth < _MAX_DEPTH:
            inner, i = self.factor(i + 1, depth + 1)
            return ("sum", ((-1, inner),)), i
        else:
            raise _Unreadable
        if self.kind(i) == "%":
            result, i = ("product", ((1, result), (-1, HUNDRED))), i + 1
        if self.kind(i) == "^":
            power = self.tokens[i + 1].value if self.kind(i + 1) == "number" else None
            if power not in (2, 3):
                raise _Unreadable
            result, i = ("product", ((1, result),) * int(power)), i + 2
        return result, self.units(i)

    def number(self, i: int) -> tuple[Expression, int]:
        value = self.tokens[i].value or Fraction(0)
        if self.kinds[i + 1 : i + 4] == ["number", "/", "number"] and not self.tokens[i + 1].glued:
            top, bottom = self.tokens[i + 1].value or Fraction(0), self.tokens[i + 3].value or Fraction(1)
            if top < bottom and value.denominator == 1:  # 1 1/2
                return ("number", value + top / bottom, i), i + 4
        return ("number", value, i), i + 1

    def bracket(self, i: int, depth: int) -> tuple[Expression, int]:
        if self.kind(i) != "(":
            raise _Unreadable
        result, i = self.sum(i + 1, depth + 1)
        if self.kind(i) != ")":
            raise _Unreadable
        return result, i + 1

    def is_tight_fraction(self, i: int) -> bool:
        """60 / 3/4 divides by three quarters, 60/3/4 does not."""
        return self.kinds[i : i + 3] == ["number", "/", "number"] and [t.glued for t in self.tokens[i : i + 3]] == [
            False, True, True,
        ]  # fmt: skip

    def multiplies(self, i: int) -> bool:
        """Whether a factor follows without a sign: 4(6), 3x, 1/2 (24 + x)."""
        if self.kind(i) not in ("(", "frac", "variable") or self.kinds[i - 1] not in ("number", ")", "%", "variable"):
            return False
        if self.tokens[i].glued or self.kind(i) == "variable":
            return True
        inside = self.kinds[i : i + 8]
        return inside[0] == "(" and ")" in inside and "variable" in inside[: inside.index(")")]

    def units(self, i: int) -> int:
        """Past the words of a unit and remarks in brackets, if the expression goes on behind them."""
        j, words = i, 0
        while words <= _MAX_UNITS:
            kind = self.kind(j)
            if kind == "word" and self.tokens[j].text not in _BREAK_WORDS:
                j, words = j + 1, words + 1
            elif kind == "/" and self.kind(j + 1) == "word":
                j, words = j + 2, words + 1
            elif kind == "(" and self.kind(j + 1) == "word":
                if ")" not in (inside := self.kinds[j : j + _MAX_REMARK]):
                    break
                j += inside.index(")") + 1
            else:
                break
        return j if j > i and self.kind(j) in ("+", "-", "*", "/", "=", ")") and self.kind(j + 1) != "word" else i


def _hangs(tokens: Sequence[Token], start: int) -> bool:
    """Whether a first side began earlier, in something unread."""
    if not start:
        return False
    before = tokens[start - 1]
    if before.kind in ("+", "-", "*", "/", "^", "other", "frac"):
        return True
    if tokens[start].glued and (before.kind in ("number", "digits") or (before.text.isalpha() and len(before.text) == 1)):
        return True  # f(3) + 4, 1.5e3 + 1, but not "the cost is$3 + 4"
    # 12 x 1 and 1/4
    fraction = [t.kind for t in tokens[start : start + 2]] == ["number", "/"]
    return before.text == "and" and fraction and start > 1 and tokens[start - 2].kind == "number"


def _goes_on(tokens: Sequence[Token], end: int) -> bool:
    """Whether a last side goes on with something unread."""
    if end >= len(tokens):
        return False
    after = tokens[end]
    if after.kind == "/" and end + 1 < len(tokens) and tokens[end + 1].kind == "word":
        return False  # $15/week
    if after.kind in ("+", "-", "*", "/", "^", "frac"):
        return True
    if after.kind in ("variable", "(", "number") or after.text == "_":  # 10_2
        return after.glued
    # 15 and 1/2
    return after.text == "and" and [t.kind for t in tokens[end + 1 : end + 4]] == ["number", "/", "number"]
