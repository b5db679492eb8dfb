"""What a verdict says should have stood there, and from where on."""

from cal_grpo.alignment import Miss, find_quote
from cal_grpo.oracles.steps import split_steps
from cal_grpo.oracles.types import Verdict


def corrected(response: str, verdict: Verdict) -> tuple[int, str] | None:
    """Where the response is cut, the start of the step that the quote lies in, and the text that replaces the rest."""
    if not verdict.correction.strip():
        return None
    found = find_quote(response, verdict.segment, verdict.hint)
    if isinstance(found, Miss):
        return None
    steps = [step for step in split_steps(response) if step.end > found[0]]
    return (min(steps[0].start, found[0]) if steps else found[0]), verdict.correction
