"""A model's answer as a verdict."""

from collections.abc import Mapping
from typing import Any

from cal_grpo.oracles.corrections import with_correction
from cal_grpo.oracles.judges.loose_json import objects_in
from cal_grpo.oracles.judges.prompt import DIRECT, PromptStyle
from cal_grpo.oracles.judges.quotes import put_right, unusable
from cal_grpo.oracles.judges.styles import without_correction
from cal_grpo.oracles.types import Again, Query, Tag, Usage, Verdict

_LONGEST_ANSWER = 65_536  # characters


def read_answer(text: str | None, usage: Usage, query: Query, style: PromptStyle = DIRECT, cut: str = "") -> Verdict:
    """A model's answer as a verdict; anything that a person could not read is ``MALFORMED``, never "no error".

    An answer that breaks off in its correction, the last field, is one without. Where it holds several, the last that quotes
    the response counts. A quote that is not in the response stays what it is, with the reason in ``detail``, and may be asked
    for again.

    Args:
        text: what the model wrote.
        usage: what it cost.
        query: what was asked.
        style: how.
        cut: where the answer was cut off, which limit did it; told where nothing can be read.
    """
    if text and len(text) > _LONGEST_ANSWER:
        detail = f"the answer has {len(text)} characters; expected at most {_LONGEST_ANSWER}"
        return Verdict(Tag.MALFORMED, usage=usage, detail=detail)
    answers = objects_in(text, style.fits) if text and text.strip() else []
    if not answers and text and "correction" in style.fields:
        answers = objects_in(without_correction(text), style.fits)
    if not answers:
        return Verdict(Tag.MALFORMED, usage=usage, detail=cut or _complaint(text or ""))
    verdicts = [_read(answer, usage, query, style) for answer in answers[-8:]]
    return next((verdict for verdict in reversed(verdicts) if verdict.tag is Tag.FOUND and not verdict.detail), verdicts[-1])


def _read(answer: Mapping[str, Any], usage: Usage, query: Query, style: PromptStyle) -> Verdict:
    try:
        said = style.read(put_right(dict(answer), query), query)
    except ValueError as e:
        return Verdict(Tag.MALFORMED, usage=usage, detail=str(e))
    if not said.segment:
        return Verdict(Tag.NO_ERROR, critique=said.critique, usage=usage)
    reason = unusable(said.segment, said.hint, said.critique, query)
    again: Again = "quote" if reason and "segment" in style.fields else ""
    verdict = Verdict(Tag.FOUND, said.critique, said.segment, said.hint, usage=usage, detail=reason, again=again)
    return verdict if reason else with_correction(verdict, query.response, said.correction, said.cut)


def _complaint(text: str) -> str:
    body = text.strip()
    if not body:
        return "the answer is empty"
    what = "off the schema" if objects_in(body, lambda answer: True) else "not JSON"
    return f"the answer is {what}: {body[:80]!r}"
