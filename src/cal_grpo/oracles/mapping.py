"""Which sampled tokens does a verdict blame?"""

from cal_grpo.alignment import Aligner, Decoded, Miss, TokenSpan, find_quote
from cal_grpo.oracles.quote import quote
from cal_grpo.oracles.steps import Step, split_steps
from cal_grpo.oracles.types import Verdict


def blamed(aligner: Aligner, response: Decoded, verdict: Verdict) -> TokenSpan | Miss:
    """The tokens of a verdict's quote. One that is too long is cut to its first step, and if need be to the end of that.

    Args:
        aligner: of the policy's tokenizer.
        response: what was judged.
        verdict: one with a segment.
    """
    outcome = aligner.map(response, verdict.segment, hint=verdict.hint)
    if not isinstance(outcome, Miss) or outcome.reason != "too_long":
        return outcome
    span = None
    for step in _shorter(response.text, verdict):
        if (tokens := response.tokens(step.start, step.end)) is not None:
            span = _span(response, tokens, step, aligner.max_span_tokens)
            if span.start == tokens[0]:
                break
    return span or outcome


def _span(response: Decoded, tokens: tuple[int, int], step: Step, most: int) -> TokenSpan:
    """A step's tokens; where these are too many its last ones, where a step says what it comes to."""
    start = max(tokens[0], tokens[1] - most)
    char_start = step.start if start == tokens[0] else int(response.starts_T[start])
    return TokenSpan(start, tokens[1], char_start, step.end, "exact", 1.0)


def _shorter(text: str, verdict: Verdict) -> list[Step]:
    """The first step that a quote touches, as far as it does, and what of it a span can hold."""
    found = find_quote(text, verdict.segment, verdict.hint)
    if isinstance(found, Miss):
        return []
    for step in split_steps(text):
        start, end = max(step.start, found[0]), min(step.end, found[1])
        part = text[start:end]
        if any(map(str.isalnum, part)):
            begin = start + len(part) - len(part.lstrip())
            first = Step(part.strip(), begin, begin + len(part.strip()))
            return [first, quote(first, None)]
    return []
