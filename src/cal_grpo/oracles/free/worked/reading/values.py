"""What an expression comes to, exactly.

An expression is a nested tuple: ``("number", value, token)``, ``("unknown", name)``, ``("sum", ((sign, e), ...))`` or
``("product", ((exponent, e), ...))``, with signs and exponents of 1 and -1. ``token`` is -1 for a number that is not
written, such as the 100 of a percent sign.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Expression = tuple[Any, ...]

_MAX_BITS = 400  # of a value: text can ask for numbers that take for ever
HUNDRED = ("number", Fraction(100), -1)


@dataclass(frozen=True, slots=True)
class Linear:
    """``slope * name + offset``."""

    name: str
    slope: Fraction
    offset: Fraction


Value = Fraction | Linear


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
    return is_computed(parts[0][1]) if signed or is_percentage(expression) else True


def is_percentage(expression: Expression) -> bool:
    """Whether an expression is written with a percent sign and no other."""
    return expression[0] == "product" and len(expression[1]) == 2 and expression[1][1][1] is HUNDRED
