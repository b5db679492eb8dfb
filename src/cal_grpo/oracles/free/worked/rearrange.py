"""The values that a solution passes when its arithmetic is done in another order.

Sums and products may be taken in any order, and a product with a sum in it term by term. So 25 - (8 + 6) also passes
25 - 8, and (5 + 3) * 2 also passes 5 * 2: results that the solution never writes, and that are right all the same.

A tree is ``("leaf", value)``, ``("sum", ((sign, tree), ...))`` or ``("product", ((exponent, tree), ...))`` with values
already put in for what was computed before.
"""

from collections.abc import Mapping
from typing import Any

from cal_grpo.oracles.free.worked.reading import Expression, rounded

Tree = tuple[Any, ...]

_MAX_PARTS = 7  # of a sum or product whose subsets are taken
_MAX_TREES = 600
_MAX_DEPTH = 12
MAX_LEAVES = 64  # of a result that is put in where it is used


def expand(expression: Expression, known: Mapping[float, Tree], depth: int = 0) -> Tree:
    """An expression as a tree; a number that equals a result in ``known`` is replaced by how that was computed."""
    if expression[0] == "number":
        value = rounded(expression[1])
        return known[value] if value in known and depth < _MAX_DEPTH else ("leaf", float(expression[1]))
    if expression[0] == "unknown":
        return ("leaf", float("nan"))
    kind = expression[0]
    parts: list[tuple[int, Tree]] = []
    for sign, part in expression[1]:
        tree = expand(part, known, depth + 1)
        parts += [(sign * s, t) for s, t in tree[1]] if tree[0] == kind else [(sign, tree)]
    neutral = 1.0 if kind == "product" else 0.0
    kept = [part for part in parts if part[1] != ("leaf", neutral)] or parts[:1]
    return kept[0][1] if len(kept) == 1 and kept[0][0] == 1 else (kind, tuple(kept))


def evaluate(tree: Tree) -> float:
    """Value, NaN where it divides by zero or has an unknown in it."""
    if tree[0] == "leaf":
        return float(tree[1])
    if tree[0] == "sum":
        return float(sum(sign * evaluate(part) for sign, part in tree[1]))
    total = 1.0
    for exponent, part in tree[1]:
        value = evaluate(part)
        if exponent < 0 and not value:
            return float("nan")
        total = total * value if exponent > 0 else total / value
    return total


def leaves(tree: Tree) -> list[float]:
    if tree[0] == "leaf":
        return [tree[1]]
    return [leaf for _, part in tree[1] for leaf in leaves(part)]


def regrouped(trees: list[Tree]) -> tuple[list[Tree], list[Tree]]:
    """(parts of sums and products, terms of products multiplied out) of some trees."""
    groups: list[Tree] = []
    terms: list[Tree] = []
    seen: set[int] = set()  # a tree that others are built on is the same object in all of them
    for tree in trees:
        _regroup(tree, groups, terms, seen)
    return groups[:_MAX_TREES], terms[:_MAX_TREES]


def _regroup(tree: Tree, groups: list[Tree], terms: list[Tree], seen: set[int]) -> None:
    if tree[0] == "leaf" or len(groups) > _MAX_TREES or id(tree) in seen:
        return
    seen.add(id(tree))
    kind, parts = tree
    for _, part in parts:
        if part[0] != "leaf":
            groups.append(part)
            _regroup(part, groups, terms, seen)
    if len(parts) <= _MAX_PARTS:
        groups += [(kind, subset) for subset in _subsets(parts)]
    if kind == "product":
        for i, (exponent, part) in enumerate(parts):
            if exponent > 0 and part[0] == "sum" and len(part[1]) < _MAX_PARTS:
                others = parts[:i] + parts[i + 1 :]
                multiplied = tuple((sign, ("product", (*others, (1, term)))) for sign, term in part[1])
                terms += [term for _, term in multiplied]
                terms += [("sum", subset) for subset in _subsets(multiplied)]


def _subsets(parts: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Every choice of at least two, but not all."""
    n = len(parts)
    masks = (mask for mask in range(1, (1 << n) - 1) if mask.bit_count() > 1)
    return [tuple(parts[i] for i in range(n) if mask >> i & 1) for mask in masks]
