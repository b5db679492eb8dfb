"""What should have stood there: a verdict's correction, and the place of the response from which on it stands."""

import re
from collections.abc import Sequence
from dataclasses import replace

from cal_grpo.alignment import Miss, find_quote
from cal_grpo.oracles.form import has_form
from cal_grpo.oracles.steps import Step, says_something, split_steps
from cal_grpo.oracles.types import Query, Verdict

LONGEST = 20_000  # characters of a correction
_WORDS = 8  # in a row that are nobody's by chance
_MARKS = ".,;:!?\"'()"
_HALF_PAIR = re.compile("[\ud800-\udfff]")


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

    It is where it is the end of the reference, an answer alone not counted, or has two of its steps in a row, or eight of its
    words that neither question nor response has so; white space does not count, nor capitals and punctuation between words.
    In a response that is itself written as the reference is (half of its steps or more are, but for numbers and signs) it
    never is.
    """
    ours, theirs = split_steps(correction), split_steps(query.reference)
    if not any(says_something(step.text) for step in ours) or has_form(split_steps(query.response), theirs):
        return False
    said = correction.split()
    in_common = _phrases(correction) & _phrases(query.reference) - _phrases(query.question) - _phrases(query.response)
    return query.reference.split()[-len(said) :] == said or bool(in_common or _pairs(ours) & _pairs(theirs))


def _phrases(text: str) -> set[tuple[str, ...]]:
    words = [word.strip(_MARKS).lower() for word in text.split()]
    return _runs([word for word in words if word], _WORDS)


def _pairs(steps: Sequence[Step]) -> set[tuple[str, ...]]:
    return _runs([" ".join(step.text.split()) for step in steps], 2)


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
    """The verdict, whose correction is left out where it cannot be kept: too long, or no text; ``detail`` says so."""
    size = len(verdict.correction)
    if size > LONGEST:
        told = f"its correction has {size:,} characters; at most {LONGEST:,} are kept"
    elif _HALF_PAIR.search(verdict.correction):  # JSON can spell one; no tokenizer takes it, and UTF-8 cannot write it
        told = "its correction holds half of a surrogate pair, which is no character"
    else:
        return verdict
    return replace(verdict, correction="", detail=f"{verdict.detail}; {told}" if verdict.detail else told)
