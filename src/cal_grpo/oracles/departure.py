"""Where does a response leave its corrected version, and how does that go on from there?"""

import difflib
import re
from typing import NamedTuple

from cal_grpo.oracles.quote import quote
from cal_grpo.oracles.steps import Step, hint_for, split_steps

_ATOM = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\w\s]")
_SIGNS = frozenset("+-*/=×÷−·%")
_ALIKE = 0.6  # of two lines with the same numbers and signs: below, they say something else
_MOST_COMPARED = 100_000  # pairs of words: what is said over and over takes a matcher minutes


class Departure(NamedTuple):
    """The first step of a response that its corrected version does not have.

    Attributes:
        quote, hint: of the step, as a verdict has them.
        cut: the character at which the step begins.
        rest: the corrected version from there on, as it is written; "" where it only leaves the step out, at its end.
    """

    quote: str
    hint: str
    cut: int
    rest: str


def departure(response: str, corrected: str) -> Departure | None:
    """The first step of a response that its corrected version does not have; None when it has all.

    Steps are the same when they have the same numbers and signs in the same order and are worded alike. A step that the
    correction puts in blames the step that stands in its place.
    """
    ours, theirs = split_steps(response), split_steps(corrected)
    if not ours or not theirs:
        return None
    ids = _same(ours, theirs)
    matcher = difflib.SequenceMatcher(None, ids, list(range(len(theirs))), autojunk=False)
    for operation, first, _, other, _ in matcher.get_opcodes():
        if operation != "equal":
            last = min(first, len(ours) - 1)  # what is put in behind the end blames the last step
            counterpart = theirs[other] if operation == "replace" else None
            part = quote(ours[last], _first_difference(ours[last], counterpart))
            begins = other - (first - last)
            rest = corrected[theirs[begins].start :] if begins < len(theirs) else ""
            return Departure(part.text, hint_for(response, part), ours[last].start, rest)
    return None


def _same(steps: list[Step], others: list[Step]) -> list[int]:
    """For each step the index of the first other step that says the same, else a number that none has."""
    places: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}  # by numbers and signs, then by all atoms
    for i, other in enumerate(others):
        atoms = _atoms(other.text)
        places.setdefault(tuple(_numbers(atoms)), {}).setdefault(tuple(atoms), i)
    found = []
    for step in steps:
        atoms = _atoms(step.text)
        candidates = places.get(tuple(_numbers(atoms)), {})
        found.append(next((i for theirs, i in candidates.items() if _alike(tuple(atoms), theirs)), -1 - step.start))
    return found


def _alike(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    if ours == theirs:
        return True
    if 2 * min(len(ours), len(theirs)) < _ALIKE * (len(ours) + len(theirs)):  # the most that the ratio can be
        return False
    matcher = difflib.SequenceMatcher(None, ours, theirs)
    return matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE


def _atoms(text: str) -> list[str]:
    return [atom.lower() for atom in _ATOM.findall(text)]


def _numbers(atoms: list[str]) -> list[str]:
    return [atom for atom in atoms if atom[0].isdigit() or atom in _SIGNS]


def _first_difference(step: Step, other: Step | None) -> tuple[int, int] | None:
    """Characters of the step's first word, number or sign that the other does not have there."""
    if other is None:
        return None
    ours = list(_ATOM.finditer(step.text))
    said, theirs = [m.group().lower() for m in ours], _atoms(other.text)
    if len(said) * len(theirs) > _MOST_COMPARED:
        at = next((i for i, (left, right) in enumerate(zip(said, theirs, strict=False)) if left != right), len(theirs))
        return ours[at].span() if at < len(ours) else None
    matcher = difflib.SequenceMatcher(None, said, theirs, autojunk=False)
    for operation, first, last, _, _ in matcher.get_opcodes():
        if operation != "equal" and first < len(ours):
            return ours[first].start(), ours[max(first, last - 1)].end()
    return None
