"""What a reference solution computes, and how near a quantity of another solution comes to it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache

from cal_grpo.grading import extract_answer, parse_number
from cal_grpo.oracles.free.worked.givens import Givens
from cal_grpo.oracles.free.worked.reading import Computation, Statement, bag, read, rounded
from cal_grpo.oracles.free.worked.rearrange import MAX_LEAVES, Tree, evaluate, expand, leaves, regrouped
from cal_grpo.oracles.free.worked.told import Told
from cal_grpo.oracles.steps import split_steps

_MAX_EXPANDED = 14  # computations, from the end, that are regrouped
_NOTE = re.compile(r"<<[^<>\n]*>>")
_SLACK = 0.006  # relative: 33.3 for 33.33
_CONVERSIONS = (1000, 100, 60, 3600)  # between units


class Match(IntEnum):
    """How a quantity matches the reference, from not at all to exactly. ``PARTLY`` and better share its value."""

    STRAY = 0  # the reference has no such value
    ELSEWHERE = 1  # only by chance: other numbers lead to it
    PARTLY = 2  # a value of the reference, from half of its numbers
    TERM = 3  # a term of a product multiplied out
    GROUP = 4  # a part of a sum or product taken in another order
    EQUAL = 5  # a value of the reference, from the same given numbers
    SAME = 6  # the same computation


@dataclass(frozen=True, slots=True)
class Known:
    """One way to a value: from the givens in ``mask``, by the computation with ``operands`` or by regrouping.

    ``open``: the reference does not say where all its numbers come from, so there may be more givens behind it.
    """

    mask: int
    kind: Match
    operands: tuple[float, ...]
    open: bool = False


class ReferenceGraph:
    """The computations of a reference solution over the givens of its question.

    Attributes:
        givens: the question's numbers.
        computations: (computation, line) in order.
        values: results of computations, and solutions of equations.
        stated: every number of the reference or the question.
        final: the answer, None when there is none in numbers.
        lines: the reference's steps; ``line_values`` the results in each.
        told: its words.
        is_bare: it consists of equations without words, such as a running total.
    """

    def __init__(self, question: str, reference: str) -> None:
        self.givens = Givens(question)
        self.lines = [step.text for step in split_steps(reference)]
        self._said = {form for line in self.lines for form in (line, _NOTE.sub("", line))}
        self.is_bare = not any(map(bag, self.lines))
        self.line_values: list[set[float]] = [set() for _ in self.lines]
        self.computations: list[Computation] = []
        self.stated: set[float] = set(self.givens.values)
        self._known: dict[float, list[Known]] = {}
        statements = [read(line) for line in self.lines]
        trees = self._read(statements)
        self.told = Told(question, statements, self.line_values)
        self.values = frozenset(value for values in self.line_values for value in values)
        self.final = self._final(reference)
        groups, terms = regrouped(trees[-_MAX_EXPANDED:])
        for kind, found in ((Match.GROUP, groups), (Match.TERM, terms)):
            for tree in found:
                if (value := evaluate(tree)) == value:
                    self._add(rounded(value), self._way(tree, kind))
        self.givens.close()
        self._fractional = [value for value in self._known if value != int(value)]

    def _read(self, statements: Sequence[Statement]) -> list[Tree]:
        known: dict[float, Tree] = {}
        trees = []
        for number, statement in enumerate(statements):
            self.stated.update(statement.mentions)
            for algebra in statement.algebra:
                if (solution := algebra.solution) is not None:
                    self.stated.add(solution)
                    if algebra.is_solved:
                        self.line_values[number].add(solution)
                    self._add(solution, Known(0, Match.EQUAL, (), open=True))
                for side in algebra.sides:
                    if isinstance(side, Fraction) and (value := rounded(side)) not in self.givens:
                        self._add(value, Known(0, Match.EQUAL, (), open=True))
            for computation in statement.computations:
                tree = expand(computation.expression, known)
                trees.append(tree)
                self.computations.append(computation)
                self.line_values[number].add(computation.value)
                self.stated.update((*computation.operands, computation.value))
                self._add(computation.value, self._way(tree, Match.EQUAL, computation.operands))
                value = evaluate(tree)
                small = len(leaves(tree)) <= MAX_LEAVES
                if small and abs(value - computation.value) < 0.02 * max(1.0, abs(value)):
                    known[computation.value] = tree
        return trees

    def _final(self, reference: str) -> float | None:
        written = parse_number(extract_answer(reference) or "")
        if written is None:
            return self.computations[-1].value if self.computations else None
        answer, share = rounded(written), rounded(float(written) / 100)
        return share if answer not in self.values and share in self.values else answer  # 25 for 25 %

    def _add(self, value: float, known: Known) -> None:
        self._known.setdefault(value, []).append(known)

    def _way(self, tree: Tree, kind: Match, operands: tuple[float, ...] = ()) -> Known:
        mask, unexplained = 0, False
        for leaf in leaves(tree):
            if leaf == leaf:
                bit = self.givens.bit(rounded(leaf))
                mask |= bit
                unexplained |= self.givens.is_foreign(bit)
        return Known(mask, kind, operands, unexplained)

    def says(self, text: str) -> bool:
        """Whether a step is one of the reference's word by word, and so not wrong; in a running total it may be misplaced."""
        return not self.is_bare and text in self._said

    def reaches(self, value: float) -> bool:
        """Whether a value is a result of the reference, or of its arithmetic in another order."""
        return value in self._known

    def match(self, value: float, masks: list[int], operands: tuple[float, ...], new: bool = True) -> Match:
        """How a quantity matches; ``masks`` are the givens it may depend on."""
        best, share = Match.STRAY, -1.0
        for known in self._ways(value):
            overlap = max((self._overlap(known, mask, new) for mask in masks), default=0.0)
            found: Match
            if known.kind is not Match.EQUAL:
                found = known.kind if overlap == 1 else Match.STRAY
            elif known.operands == operands:
                found = Match.SAME
            elif overlap == 1:
                found = Match.EQUAL
            else:
                found = Match.PARTLY if overlap >= 0.5 else Match.ELSEWHERE
            best, share = max((best, share), (found, overlap))
        return best

    def _overlap(self, known: Known, mask: int, new: bool) -> float:
        """Share of the givens of two ways that both have; 1 where they differ in what cannot be told."""
        ours, theirs = known.mask & ~self.givens.common, mask & ~self.givens.common
        if known.kind is not Match.EQUAL or not new:
            return _share(known.mask, mask)
        if ours == theirs or (known.open and not self.givens.told(ours) & ~theirs):
            return 1.0
        return _share(known.mask, mask)

    def is_final(self, value: float, masks: list[int], operands: tuple[float, ...]) -> bool:
        """Whether a quantity is the answer, by the reference's last way to its value and not by chance."""
        ways = [known for known in self._known.get(value, []) if known.kind is Match.EQUAL]
        return value == self.final and bool(ways) and (ways[-1].operands == operands or ways[-1].mask in masks)

    def matches_converted(self, value: float, masks: list[int], operands: tuple[float, ...]) -> bool:
        """Whether a quantity matches in another unit: 1.75 litres for 1750 millilitres."""
        scaled = [rounded(value * c) for c in _CONVERSIONS] + [rounded(value / c) for c in _CONVERSIONS]
        return any(v in self._known and self.match(v, masks, operands) >= Match.EQUAL for v in scaled)

    def _ways(self, value: float) -> list[Known]:
        found = self._known.get(value, [])
        if value and -value in self._known:
            found = found + self._known[-value]
        if not found and value != int(value):
            near = [v for v in self._fractional if abs(v - value) <= _SLACK * abs(v)]
            found = [known for v in near for known in self._known[v]]
        return found


def _share(a: int, b: int) -> float:
    union = a | b
    return (a & b).bit_count() / union.bit_count() if union else 1.0


@lru_cache(maxsize=1024)
def reference_graph(question: str, reference: str) -> ReferenceGraph:
    """The graph of one question, kept for the other answers to it."""
    return ReferenceGraph(question, reference)
