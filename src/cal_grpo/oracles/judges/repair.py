"""The repair style: the judge writes the response as it should have been, and a comparison finds where it departs.

Judges are better at doing it right than at pointing, and a place that is computed from two texts is always in the response.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.judges.few_shot import FewShot
from cal_grpo.oracles.judges.numbered import STEPS
from cal_grpo.oracles.judges.prompt import DIRECT, PromptStyle
from cal_grpo.oracles.quote import quote
from cal_grpo.oracles.steps import Step, hint_for, split_steps
from cal_grpo.oracles.types import Query

_TASK = """You are a careful grader of worked solutions. You get a question, a correct reference solution and a student's \
response whose final answer is wrong. Repair the response: find the earliest step that is not valid, and write the response \
again as it should have been.

Answer with one JSON object with these fields, in this order:
  "corrected": the whole corrected response. Copy every line before the first mistake word for word, in the student's own \
words and order, even where you would have written it differently. Correct the first wrong line with as few changes as \
possible, and carry on from there to the right answer, one line for each line of the response as far as that goes. If \
nothing is wrong, copy the response;
  "critique": in one or two sentences, what is wrong with the first line that you changed."""

_ATOM = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\w\s]")
_SIGNS = frozenset("+-*/=×÷−·%")
_ALIKE = 0.6  # of two lines with the same numbers and signs: below, they say something else


def departure(response: str, corrected: str) -> tuple[str, str] | None:
    """(quote, hint) of the first step of a response that its corrected version does not have; None when it has all.

    Steps are the same when they have the same numbers and signs in the same order and are worded alike. A step that the
    correction puts in blames the step that stands in its place.
    """
    ours, theirs = split_steps(response), split_steps(corrected)
    if not ours or not theirs:
        return None
    ids = [_same(step, theirs) for step in ours]
    matcher = difflib.SequenceMatcher(None, ids, list(range(len(theirs))), autojunk=False)
    for operation, first, _, other, _ in matcher.get_opcodes():
        if operation != "equal":
            step = ours[min(first, len(ours) - 1)]
            counterpart = theirs[other] if operation == "replace" else None
            part = quote(step, _first_difference(step, counterpart))
            return part.text, hint_for(response, part)
    return None


def _same(step: Step, others: list[Step]) -> int:
    """Index of the first other step that says the same, else a number that none has."""
    atoms = _atoms(step.text)
    for i, other in enumerate(others):
        theirs = _atoms(other.text)
        if atoms == theirs:
            return i
        if _numbers(atoms) == _numbers(theirs) and difflib.SequenceMatcher(None, atoms, theirs).ratio() >= _ALIKE:
            return i
    return -1 - step.start


def _atoms(text: str) -> list[str]:
    return [atom.lower() for atom in _ATOM.findall(text)]


def _numbers(atoms: list[str]) -> list[str]:
    return [atom for atom in atoms if atom[0].isdigit() or atom in _SIGNS]


def _first_difference(step: Step, other: Step | None) -> tuple[int, int] | None:
    """Characters of the step's first word, number or sign that the other does not have there."""
    if other is None:
        return None
    ours = list(_ATOM.finditer(step.text))
    theirs = _atoms(other.text)
    matcher = difflib.SequenceMatcher(None, [m.group().lower() for m in ours], theirs, autojunk=False)
    for operation, first, last, _, _ in matcher.get_opcodes():
        if operation != "equal" and first < len(ours):
            return ours[first].start(), ours[max(first, last - 1)].end()
    return None


def _show(shot: FewShot) -> dict[str, str]:
    if not shot.corrected_solution.strip():
        raise UsageError("the repair style got an example without corrected_solution; add it, or use the direct style")
    return {"corrected": shot.corrected_solution, "critique": shot.critique}


def _read(answer: Mapping[str, Any], query: Query) -> tuple[str, str, str | None]:
    critique = answer.get("critique")
    corrected = answer["corrected"] or ""
    if not corrected.strip():
        raise ValueError("the corrected solution is empty")
    found = departure(query.response, corrected)
    segment, hint = found or ("", None)
    return critique if isinstance(critique, str) else "", segment, hint


REPAIR = PromptStyle(
    name="repair",
    version="repair-1",
    task=_TASK,
    fields=("corrected", "critique"),
    required=("corrected",),
    show=_show,
    read=_read,
)
STYLES = {style.name: style for style in (DIRECT, REPAIR, STEPS)}


def style_of(name: str) -> PromptStyle:
    """The prompt style of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in STYLES:
        raise UsageError(f"prompt style is {name!r}; expected one of {', '.join(STYLES)}")
    return STYLES[name]
