"""What a reference says in words: of each line, and of each number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cal_grpo.oracles.free.worked.reading import Bag, Computation, Statement, Token, Wording, bag, rounded

_NEAR = 6  # tokens behind a number that say what it counts


@dataclass(frozen=True, slots=True)
class Line:
    """A line with results: its words, the results, and the numbers in each of its computations."""

    words: Bag
    values: set[float]
    operands: list[set[float]]


class Told:
    """The words of a reference and its question.

    Attributes:
        lines: those with results.
        asked: the words of each sentence of the question.
        words: all of both.
        counted: what each number of the reference counts.
        wording: weighs words by how few lines and sentences have them.
    """

    def __init__(self, question: str, statements: Sequence[Statement], line_values: Sequence[set[float]]) -> None:
        lines = [Line(bag(s.text), v, _operands(s.computations)) for s, v in zip(statements, line_values, strict=True)]
        self.lines = [line for line in lines if line.values]
        self.asked = [bag(sentence) for sentence in re.split(r"(?<=[.?!])\s+", question)]
        self.words = frozenset[str]().union(*self.asked, *(line.words for line in lines))
        self.wording = Wording([*(line.words for line in lines), *self.asked])
        self.counted: dict[float, list[Bag]] = {}
        for statement in statements:
            for value, words in things(statement.tokens):
                self.counted.setdefault(value, []).append(words)


def _operands(computations: Sequence[Computation]) -> list[set[float]]:
    return [set(computation.operands) for computation in computations]


def things(tokens: Sequence[Token]) -> list[tuple[float, Bag]]:
    """Each number with the words behind it, up to the next number or stop: what it counts."""
    found = []
    for i, token in enumerate(tokens):
        if token.value is not None:
            near = tokens[i + 1 : i + 1 + _NEAR]
            end = next((k for k, t in enumerate(near) if t.kind == "stop" or t.value is not None), len(near))
            found.append((rounded(token.value), bag(" ".join(t.text for t in near[:end] if t.kind == "word"))))
    return found
