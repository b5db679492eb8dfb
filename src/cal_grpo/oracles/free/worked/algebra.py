"""Where a response's equations with an unknown leave the reference.

The unknown should be one of the reference's values. The one under which the most equations hold, from the first, is taken;
the first equation that it breaks is suspect.
"""

from enum import StrEnum
from fractions import Fraction

from cal_grpo.oracles.free.worked.reading import Linear, Statement, Value, linear_parts, rounded
from cal_grpo.oracles.free.worked.reference_graph import ReferenceGraph

_SLACK = 0.02


class Standing(StrEnum):
    """How the algebra of a step stands under the reference's value of the unknown."""

    HOLDS = "holds"  # its equations hold, and its terms are values of the reference
    UNKNOWN = "unknown"  # the reference has no such value, and a later equation breaks
    BREAKS = "breaks"  # the first equation that does not hold
    AFTER = "after"  # behind that


def standings(statements: list[Statement], reference: ReferenceGraph) -> dict[int, Standing]:
    """The standing of each step that has algebra with something to check."""
    steps = {i: _parts(statement) for i, statement in enumerate(statements) if statement.algebra}
    steps = {i: parts for i, parts in steps.items() if any(parts)}
    candidates = dict.fromkeys([reference.final, *sorted(reference.values)])
    best: tuple[int, int, dict[int, Standing]] | None = None
    for candidate in candidates:
        if candidate is not None:
            found = _under(candidate, steps, reference)
            best = max(best or found, found, key=lambda f: f[:2])
    return best[2] if best else {}


def _parts(statement: Statement) -> tuple[list[Linear], list[tuple[Value, Value]]]:
    """(terms with the unknown that are more than the unknown itself, pairs said to be equal)."""
    sides = [side for algebra in statement.algebra for side in algebra.sides]
    terms = [side for side in sides if isinstance(side, Linear) and not (side.slope == 1 and not side.offset)]
    pairs = [pair for algebra in statement.algebra for pair in zip(algebra.sides, algebra.sides[1:], strict=False)]
    return terms, pairs


def _under(
    unknown: float, steps: dict[int, tuple[list[Linear], list[tuple[Value, Value]]]], reference: ReferenceGraph
) -> tuple[int, int, dict[int, Standing]]:
    """(equations that hold before one breaks, steps before anything is off, standings)."""
    holding, undisturbed, broken = 0, 0, False
    found: dict[int, Standing] = {}
    for i, (terms, pairs) in steps.items():
        holds = all(_equal(_at(left, unknown), _at(right, unknown)) for left, right in pairs)
        values = [rounded(_at(term, unknown)) for term in terms]
        known = all(reference.reaches(v) or reference.reaches(-v) or v in reference.stated for v in values)
        if broken:
            found[i] = Standing.AFTER
        elif not holds:
            found[i], broken = Standing.BREAKS, True
        else:
            undisturbed += known and undisturbed == len(found)
            holding += bool(pairs)
            found[i] = Standing.HOLDS if known else Standing.UNKNOWN
    if not broken:
        found = {i: standing for i, standing in found.items() if standing is Standing.HOLDS}
    return holding, undisturbed, found


def _at(value: Value, unknown: float) -> float:
    slope, offset = linear_parts(value if isinstance(value, Linear) else Fraction(value))
    return float(slope) * unknown + float(offset)


def _equal(left: float, right: float) -> bool:
    return abs(left - right) <= _SLACK * max(1.0, abs(left))
