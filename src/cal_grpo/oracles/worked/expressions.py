"""Arithmetic as it stands in running text: parsed with its units, evaluated exactly.

An expression is a nested tuple: ``("number", value, token)``, ``("unknown", name)``, ``("sum", ((sign, e), ...))`` or
``("product", ((exponent, e), ...))``, with signs and exponents of 1 and -1. ``token`` is -1 for a number that is not
written, such as the 100 of a percent sign.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cal_grpo.oracles.worked.lexer import Token

Expression = tuple[Any, ...]

_MAX_DEPTH = 20
_MAX_TERMS = 60
_MAX_UNITS = 5  # words of a unit, "slices of pizza each"
_MAX_REMARK = 40  # tokens in brackets behind a unit
_MAX_BITS = 400  # of a value: text can ask for numbers that take for ever
# Words that end an expression: whatever follows is another thought.
_BREAKS = """
and so is are was were which that because since then if but or as means equal gives get gets has have had will would
he she it they we you i therefore thus when while x where
"""
_BREAK_WORDS = frozenset(_BREAKS.split())
_HUNDRED = ("number", Fraction(100), -1)


@dataclass(frozen=True, slots=True)
class Linear:
    """``slope * name + offset``."""

    name: str
    slope: Fraction
    offset: Fraction


Value = Fraction | Linear


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
            result, i = ("product", ((1, result), (-1, _HUNDRED))), i + 1
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
    if after.kind in ("variable", "(", "number"):
        return after.glued
    # 15 and 1/2
    return after.text == "and" and [t.kind for t in tokens[end + 1 : end + 4]] == ["number", "/", "number"]


def evaluate(expression: Expression) -> Value | None:
    """Exact value, linear in at most one unknown; None where it is neither, divides by zero or grows out of hand."""
    kind = expression[0]
    if kind == "number":
        value: Fraction = expression[1]
        return value
    if kind == "unknown":
        return Linear(expression[1], Fraction(1), Fraction(0))
    total: Value | None = None
    for sign, part in expression[1]:
        term = evaluate(part)
        if term is None:
            return None
        if total is None:
            total = term if sign == 1 else _negated(term) if kind == "sum" else _multiply(Fraction(1), term, -1)
        else:
            total = _add(total, term, sign) if kind == "sum" else _multiply(total, term, sign)
        if total is None:
            return None
    return total


def _negated(value: Value) -> Value:
    return Linear(value.name, -value.slope, -value.offset) if isinstance(value, Linear) else -value


def _add(a: Value, b: Value, sign: int) -> Value | None:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _bounded(a + b if sign == 1 else a - b)
    names = {v.name for v in (a, b) if isinstance(v, Linear)}
    if len(names) > 1:
        return None
    (s, p), (t, q) = linear_parts(a), linear_parts(b)
    slope, offset = s + sign * t, p + sign * q
    return Linear(names.pop(), slope, offset) if slope else offset


def _multiply(a: Value, b: Value, exponent: int) -> Value | None:
    if isinstance(b, Linear):
        if exponent < 0 or isinstance(a, Linear):
            return None
        return Linear(b.name, b.slope * a, b.offset * a) if a else Fraction(0)
    if exponent < 0:
        if not b:
            return None
        return Linear(a.name, a.slope / b, a.offset / b) if isinstance(a, Linear) else _bounded(a / b)
    if isinstance(a, Linear):
        return Linear(a.name, a.slope * b, a.offset * b) if b else Fraction(0)
    return _bounded(a * b)


def linear_parts(value: Value) -> tuple[Fraction, Fraction]:
    """(slope, offset)."""
    return (value.slope, value.offset) if isinstance(value, Linear) else (Fraction(0), value)


def _bounded(value: Fraction) -> Fraction | None:
    return value if value.numerator.bit_length() < _MAX_BITS and value.denominator.bit_length() < _MAX_BITS else None


def operands(expression: Expression) -> list[tuple[Fraction, int]]:
    """(value, token) of every number written in an expression."""
    if expression[0] == "number":
        return [(expression[1], expression[2])] if expression[2] >= 0 else []
    if expression[0] == "unknown":
        return []
    return [found for _, part in expression[1] for found in operands(part)]


def is_computed(expression: Expression) -> bool:
    """Whether an expression has an operation in it, beyond a percent sign or a minus in front."""
    if expression[0] in ("number", "unknown"):
        return False
    parts = expression[1]
    signed = expression[0] == "sum" and len(parts) == 1
    percent = expression[0] == "product" and len(parts) == 2 and parts[1][1] is _HUNDRED
    return is_computed(parts[0][1]) if signed or percent else True
