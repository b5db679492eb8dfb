"""The part of a step that is worth quoting: the whole of it, or what a span of tokens can hold."""

import re

from cal_grpo.oracles.steps import Step

_BUDGET = 42  # pieces: at most 64 tokens, the default limit of a span, even of a tokenizer with a small vocabulary
# Pieces are counted as a small tokenizer would cut them: a token is a digit, a sign, or three letters.
_PIECE = re.compile(r"[^\W\d_]{1,3}|\S")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])|\n")
_CLAUSE = re.compile(r"(?<=[,;:])\s+|\s+(?=so\b|because\b|which\b|and\b)")
_ATOM = re.compile(r"\d(?:[\d.,]*\d)?|[^\W\d_]+|\S")


def quote(step: Step, focus: tuple[int, int] | None) -> Step:
    """The step if it is short enough, else the sentence, the clause or the words around ``focus``.

    ``focus`` holds half-open characters of the step; None is its end, where a step says what it comes to.
    """
    text = step.text
    begin, end = focus or (len(text) - 1, len(text))
    left, right = 0, len(text)
    for cut in (_SENTENCE, _CLAUSE):
        if pieces(text[left:right]) <= _BUDGET:
            break
        edges = [left, *(m.end() for m in cut.finditer(text, left, right)), right]
        left = max((edge for edge in edges if edge <= begin), default=left)
        right = min((edge for edge in edges if edge >= end), default=right)
    if pieces(text[left:right]) > _BUDGET:
        left, right = _words(text, left, right, min(end, right))
    inner = text[left:right]
    start = step.start + left + len(inner) - len(inner.lstrip())
    return Step(inner.strip(), start, start + len(inner.strip()))


def pieces(text: str) -> int:
    """About how many tokens a text has, rather too many than too few."""
    return len(_PIECE.findall(text))


def _words(text: str, left: int, right: int, end: int) -> tuple[int, int]:
    """As many whole words and numbers before ``end`` as the budget holds; what alone is too long is passed over."""
    atoms = [m.span() for m in _ATOM.finditer(text, left, right) if m.start() < end]
    while atoms and not (pieces(text[slice(*atoms[-1])]) <= _BUDGET and text[atoms[-1][1] - 1].isalnum()):
        atoms.pop()
    if not atoms:
        return left, right
    start, stop = atoms.pop()
    room = _BUDGET - pieces(text[start:stop])
    while atoms and (room := room - pieces(text[slice(*atoms[-1])])) >= 0:  # no piece reaches over the edge of an atom
        start = atoms.pop()[0]
    return start, stop
