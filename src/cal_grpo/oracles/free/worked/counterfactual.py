"""What would have to be different for a response to end in the right answer.

For every quantity on the way to the answer: the one value with which the response's own remaining steps would give the
reference's answer. Where the reference has that value, the quantity is what went wrong, and all the rest is right. The
same is asked of every number and every operation that a step uses.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cal_grpo.oracles.free.worked.reading import Expression, operands, rounded
from cal_grpo.oracles.free.worked.response_graph import Quantity, ResponseGraph, ancestors

_MAX_QUANTITIES = 40  # on the way to the answer: beyond, nothing is asked
_MAX_NUMBERS = 400  # in their expressions, likewise
_TOLERANCE = 1e-6  # relative
_LARGEST = 1e15


@dataclass(slots=True)
class Repairs:
    """``quantity``: the value each would need. ``number``: (quantity, number it uses, value it would need), in order.
    ``operation``: quantities that need only another sign."""

    quantity: list[tuple[Quantity, float]] = field(default_factory=list)
    number: list[tuple[Quantity, float, float]] = field(default_factory=list)
    operation: list[Quantity] = field(default_factory=list)


def repairs(graph: ResponseGraph) -> Repairs:
    """Every single change that makes the answer right; none when there is no answer, or it is right."""
    found = Repairs()
    answer, target = graph.answer, graph.reference.final
    if answer is None or target is None or answer.value == target:
        return found
    on_the_way = set(map(id, ancestors(answer)))
    chain = [quantity for quantity in graph.quantities if id(quantity) in on_the_way]
    if len(chain) > _MAX_QUANTITIES or sum(len(operands(quantity.expression)) for quantity in chain) > _MAX_NUMBERS:
        return found
    trees = {id(quantity): _linked(quantity.expression, quantity.sources) for quantity in chain}
    for i, quantity in enumerate(chain):
        later = chain[i + 1 :]

        def outcome(value: float, quantity: Quantity = quantity, later: list[Quantity] = later) -> float:
            return _rerun({id(quantity): value}, later, trees, answer)

        if (needed := _solve(outcome, target)) is None:
            continue
        found.quantity.append((quantity, rounded(needed)))
        tree = trees[id(quantity)]
        for leaf in _numbers(tree):

            def with_number(value: float, leaf: _Leaf = leaf, tree: Any = tree) -> float:
                leaf.value, kept = value, leaf.value
                result = _evaluate(tree, {})
                leaf.value = kept
                return result

            if (number := _solve(with_number, needed)) is not None:
                found.number.append((quantity, rounded(leaf.value), rounded(number)))
        if any(abs(value - needed) <= _TOLERANCE * max(1.0, abs(needed)) for value in _other_operations(tree)):
            found.operation.append(quantity)
    return found


@dataclass(eq=False, slots=True)
class _Leaf:
    """A written number; ``source`` is the quantity that it repeats, ``scale`` what it is multiplied by there."""

    value: float
    source: int | None = None
    scale: float = 1.0
    written: bool = True


def _linked(expression: Expression, sources: dict[float, Quantity]) -> Any:
    if expression[0] == "number":
        source = sources.get(rounded(expression[1])) if expression[2] >= 0 else None
        value = float(expression[1])
        if source is None:
            return _Leaf(value, written=expression[2] >= 0)
        return _Leaf(source.value, id(source), value / source.value if source.value else 1.0)
    if expression[0] == "unknown":
        return _Leaf(math.nan, written=False)
    return expression[0], [(sign, _linked(part, sources)) for sign, part in expression[1]]


def _evaluate(tree: Any, values: dict[int, float]) -> float:
    if isinstance(tree, _Leaf):
        return values.get(tree.source, tree.value) * tree.scale if tree.source is not None else tree.value
    kind, parts = tree
    if kind == "sum":
        total = 0.0
        for sign, part in parts:
            total += sign * _evaluate(part, values)
        return total
    total = 1.0
    for exponent, part in parts:
        value = _evaluate(part, values)
        if exponent < 0 and not value:
            return math.nan
        total = total * value if exponent > 0 else total / value
    return total


def _rerun(values: dict[int, float], later: list[Quantity], trees: dict[int, Any], answer: Quantity) -> float:
    """The answer when some quantities have other values."""
    for quantity in later:
        for source in quantity.inputs:
            if id(source) in values:
                values[id(quantity)] = _evaluate(trees[id(quantity)], values)
                break
    return values.get(id(answer), answer.value)


def _solve(function: Callable[[float], float], target: float) -> float | None:
    """``x`` with ``function(x) == target`` for a function that is linear in x or in 1/x."""
    a, b, c = function(1.0), function(2.0), function(4.0)
    if not all(abs(value) < _LARGEST for value in (a, b, c)):  # NaN, too
        return None
    if abs((c - b) - 2 * (b - a)) <= _TOLERANCE * max(1.0, abs(a), abs(c)):
        return None if a == b else 1 + (target - a) / (b - a)
    slope = 2 * (a - b)
    offset = a - slope
    fits = abs(offset + slope / 4 - c) <= _TOLERANCE * max(1.0, abs(c))
    return slope / (target - offset) if fits and target != offset else None


def _numbers(tree: Any) -> list[_Leaf]:
    if isinstance(tree, _Leaf):
        return [tree] if tree.source is None and tree.written else []
    return [leaf for _, part in tree[1] for leaf in _numbers(part)]


def _other_operations(tree: Any) -> list[float]:
    """What two operands give under the operations that are not written."""
    if isinstance(tree, _Leaf) or len(tree[1]) != 2:
        return []
    (s, left), (t, right) = tree[1]
    a, b = _evaluate(left, {}), _evaluate(right, {})
    results = {("sum", 1, 1): a + b, ("sum", 1, -1): a - b, ("sum", -1, 1): b - a, ("product", 1, 1): a * b}
    results |= {("product", 1, -1): a / b} if b else {}
    results |= {("product", -1, 1): b / a} if a else {}
    return [value for operation, value in results.items() if operation != (tree[0], s, t)]
