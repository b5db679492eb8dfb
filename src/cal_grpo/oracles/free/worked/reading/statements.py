"""What one step of a worked solution states: computations, equations with an unknown, numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from cal_grpo.oracles.free.worked.reading.expressions import Chain, chains
from cal_grpo.oracles.free.worked.reading.lexer import Token, tokenize
from cal_grpo.oracles.free.worked.reading.quantities import ANNOTATION, Equation, as_equation
from cal_grpo.oracles.free.worked.reading.values import Expression, Linear, Value, is_computed, operands

_UNCOMPUTED = re.compile(r"<<[\d.,$% ]*(?:=[\d.,$% ]*)?>>")  # <<400=400>> hides what is computed before it
_QUANTITY = re.compile(r"[\d=½⅓⅔¼¾]|\b[^\W\d_]\s*[-+*/]")


def rounded(value: Fraction | float) -> float:
    """A value as quantities are told apart by: to three decimals, small ones to six."""
    if isinstance(value, Fraction):
        above, below = value.as_integer_ratio()
        value = above / below  # as float() would, three times as fast
    return round(value, 3 if abs(value) >= 0.01 else 6)


@dataclass(frozen=True, slots=True)
class Computation:
    """``value`` as stated behind the equals sign, else as the expression comes to; characters [start, end) of the step.

    ``operands`` are sorted; ``operator`` is ``+``, ``-``, ``*`` or ``/``. ``annotated``: it stands in ``<<...>>``;
    ``solving``: beside an unknown.
    """

    value: float
    operands: tuple[float, ...]
    operator: str
    expression: Expression
    start: int
    end: int
    annotated: bool = False
    solving: bool = False


@dataclass(frozen=True, slots=True)
class Algebra:
    """The sides of a chain with an unknown in it, and the numbers written there."""

    sides: tuple[Value, ...]
    operands: tuple[float, ...]

    @property
    def solution(self) -> float | None:
        """The value that the first solvable pair of sides gives the unknown."""
        for left, right in zip(self.sides, self.sides[1:], strict=False):
            names = {side.name for side in (left, right) if isinstance(side, Linear)}
            slope, offset = _difference(left, right)
            if len(names) == 1 and slope:
                return rounded(-offset / slope)
        return None

    @property
    def is_solved(self) -> bool:
        """Whether it reads ``x = 5``."""
        bare = any(isinstance(side, Linear) and side.slope == 1 and side.offset == 0 for side in self.sides)
        return bare and any(isinstance(side, Fraction) for side in self.sides)


@dataclass(slots=True)
class Statement:
    """``false`` is the first written equation that does not hold; ``tokens`` are empty where there is no quantity."""

    text: str
    computations: list[Computation] = field(default_factory=list)
    algebra: list[Algebra] = field(default_factory=list)
    mentions: list[float] = field(default_factory=list)
    false: Equation | None = None
    tokens: list[Token] = field(default_factory=list)


def read(text: str) -> Statement:
    """The statement that a step makes."""
    statement = Statement(text)
    if not _QUANTITY.search(text):
        return statement
    if "<<" in text:
        text = _UNCOMPUTED.sub(lambda match: " " * len(match[0]), text)
        for match in ANNOTATION.finditer(text):
            inner = f"{match[1]}={match[2]}" if match[2] else match[1]
            tokens = tokenize(inner)
            for chain in chains(tokens):
                _add(statement, chain, tokens, inner, match.span())
    tokens = statement.tokens = tokenize(text)
    for chain in chains(tokens):
        _add(statement, chain, tokens, text, None)
    return statement


def _add(statement: Statement, chain: Chain, tokens: list[Token], text: str, within: tuple[int, int] | None) -> None:
    if statement.false is None and (equation := as_equation(chain, tokens, text)) and equation.false_side() is not None:
        statement.false = equation
    start, end = within or (tokens[chain.start].start, tokens[chain.end - 1].end)
    solving = any(isinstance(value, Linear) for value in chain.values)
    if solving:
        written = tuple(rounded(number) for side in chain.sides for number, _ in operands(side))
        statement.algebra.append(Algebra(tuple(value for value in chain.values if value is not None), written))
    numeric = [(side, value) for side, value in zip(chain.sides, chain.values, strict=True) if isinstance(value, Fraction)]
    if not any(is_computed(side) for side, _ in numeric):
        statement.mentions += [rounded(value) for _, value in numeric]
    elif len(chain.sides) == 1 and not _stands_alone(chain.sides[0], tokens):
        statement.mentions += [rounded(number) for number, _ in operands(chain.sides[0])]
    else:
        for side, value in _computations(numeric):
            if within is None and any(known.value == rounded(value) for known in statement.computations if known.annotated):
                continue  # the annotation has it
            written = tuple(sorted(rounded(number) for number, _ in operands(side)))
            found = Computation(rounded(value), written, _operator(side), side, start, end, within is not None, solving)
            statement.computations.append(found)


def _computations(numeric: list[tuple[Expression, Fraction]]) -> list[tuple[Expression, Fraction]]:
    """(what was computed, what it is said to come to) of a chain: one, or more in a running total, 3/2 = 1.5 + 3 = 4.5."""
    found: list[tuple[Expression, Fraction]] = []
    for side, value in numeric:
        if not is_computed(side):
            if found and found[-1][1] != 100 * value:  # 100 - 5 = 95% is 95
                found[-1] = (found[-1][0], value)
        elif not found or (rounded(value) != rounded(found[-1][1]) and _first_number(side) == found[-1][1]):
            found.append((side, value))
    return found


def _first_number(side: Expression) -> Fraction | None:
    while side[0] in ("sum", "product"):
        side = side[1][0][1]
    return side[1] if side[0] == "number" else None


def _stands_alone(side: Expression, tokens: list[Token]) -> bool:
    """Whether an expression without an equals sign is a computation: not 3/4, 5-7 or 37-23."""
    if side[0] == "product":
        fraction = [exponent for exponent, _ in side[1]] == [1, -1] and all(part[0] == "number" for _, part in side[1])
        return not fraction
    written = [token for _, token in operands(side)]
    return all(not tokens[token].glued for token in written[1:])


def _operator(side: Expression) -> str:
    plain = all(sign == 1 for sign, _ in side[1])
    return ("+" if plain else "-") if side[0] == "sum" else ("*" if plain else "/")


def _difference(left: Value, right: Value) -> tuple[Fraction, Fraction]:
    (s, p), (t, q) = ((side.slope, side.offset) if isinstance(side, Linear) else (Fraction(0), side) for side in (left, right))
    return s - t, p - q


def numbers(statement: Statement) -> Iterator[float]:
    """Every value that a statement gives, results and mentions."""
    for computation in statement.computations:
        yield computation.value
    yield from statement.mentions
