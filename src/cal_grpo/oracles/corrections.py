"""What should have stood there: a verdict's correction, and the place of the response from which on it stands."""

from collections.abc import Sequence
from dataclasses import replace

from cal_grpo.alignment import Miss, find_quote
from cal_grpo.oracles.form import has_form
from cal_grpo.oracles.steps import Step, says_something, split_steps
from cal_grpo.oracles.types import Query, Verdict

LONGEST = 20_000  # characters of a correction
_WORDS = 8  # in a row that are nobody's by chance


def corrected(response: str, verdict: Verdict) -> tuple[int, str] | None:
    """(cut, correction): ``response[:cut] + correction`` is the response as it should have been.

    The cut is the character at which the step begins that the verdict's quote lies in; of a quote over several steps the
    first, as ``blamed`` has it. None where there is no correction, or where the response does not hold the quote.
    """
    if not verdict.correction or (cut := step_start(response, verdict.segment, verdict.hint)) is None:
        return None
    return cut, verdict.correction


def step_start(response: str, segment: str, hint: str | None) -> int | None:
    """The character at which the first step begins that a quote says something of; None where it is not in the response."""
    found = find_quote(response, segment, hint)
    if not isinstance(found, Miss):
        for step in split_steps(response):
            if any(map(str.isalnum, response[max(step.start, found[0]) : min(step.end, found[1])])):
                return step.start
    return None


def copies_reference(query: Query, correction: str) -> bool:
    """Whether a correction is the reference word for word, in a response of another form: not what the policy would have said.

    That is a correction which is the end of the reference, not counting an answer alone, or which has two of its steps in a
    row, or eight of its words in a row that neither question nor response has; white space does not count. Never in a
    response that is itself written as the reference is: half of its steps or more are, but for their numbers and signs.
    """
    ours, theirs = split_steps(correction), split_steps(query.reference)
    said, reference = correction.split(), query.reference.split()
    if not any(says_something(step.text) for step in ours) or has_form(split_steps(query.response), theirs):
        return False
    known = _runs(query.question.split(), _WORDS) | _runs(query.response.split(), _WORDS)
    return (
        reference[-len(said) :] == said
        or bool((_runs(said, _WORDS) & _runs(reference, _WORDS)) - known)
        or bool(_runs([_said(step) for step in ours], 2) & _runs([_said(step) for step in theirs], 2))
    )


def _said(step: Step) -> str:
    return " ".join(step.text.split())


def _runs(items: Sequence[str], size: int) -> set[tuple[str, ...]]:
    """All that stands in a row, so many at a time."""
    return {tuple(items[i : i + size]) for i in range(len(items) - size + 1)}


def with_correction(verdict: Verdict, response: str, correction: str, cut: int | None = None) -> Verdict:
    """A found verdict with a correction, if that is one.

    Args:
        verdict: without.
        response: what was judged.
        correction: one without a word or a number, or that says what the response says, is none.
        cut: the character from which on it stands; it is dropped where the verdict's quote lies in another step. None: in
            whichever step that is.
    """
    if not any(map(str.isalnum, correction)):
        return verdict
    told = replace(verdict, correction=correction)
    found = corrected(response, told)
    if found is None or cut not in (None, found[0]) or response[found[0] :].strip() == correction.strip():
        return verdict
    return told


def bounded(verdict: Verdict) -> Verdict:
    """The verdict, whose correction is left out where it is too long to be kept; ``detail`` says so."""
    size = len(verdict.correction)
    if size <= LONGEST:
        return verdict
    told = f"its correction has {size:,} characters; at most {LONGEST:,} are kept"
    return replace(verdict, correction="", detail=f"{verdict.detail}; {told}" if verdict.detail else told)
