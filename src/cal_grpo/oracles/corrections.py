"""What should have stood there: a verdict's correction, and the place of the response from which on it stands."""

from dataclasses import replace

from cal_grpo.alignment import Miss, find_quote
from cal_grpo.oracles.steps import split_steps
from cal_grpo.oracles.types import Verdict


def corrected(response: str, verdict: Verdict) -> tuple[int, str] | None:
    """(cut, correction): ``response[:cut] + correction`` is the response as it should have been.

    The cut is the character at which the step begins that the verdict's quote lies in; of a quote over several steps the
    first, as ``blamed`` has it. None where there is no correction, or where the response does not hold the quote.
    """
    if not verdict.correction:
        return None
    found = find_quote(response, verdict.segment, verdict.hint)
    if isinstance(found, Miss):
        return None
    for step in split_steps(response):
        if any(map(str.isalnum, response[max(step.start, found[0]) : min(step.end, found[1])])):
            return step.start, verdict.correction
    return None


def with_correction(verdict: Verdict, response: str, start: int, correction: str) -> Verdict:
    """The verdict with a correction that is meant for the step which begins at ``start``; without it where the quote is found
    in another."""
    if not correction.strip():
        return verdict
    told = replace(verdict, correction=correction)
    return told if corrected(response, told) == (start, correction) else verdict
