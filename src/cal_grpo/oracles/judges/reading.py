"""A model's answer as a verdict."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from cal_grpo.oracles.corrections import with_correction
from cal_grpo.oracles.judges.loose_json import objects_in
from cal_grpo.oracles.judges.prices import Price
from cal_grpo.oracles.judges.prompt import DIRECT, PromptStyle
from cal_grpo.oracles.judges.quotes import put_right, unusable
from cal_grpo.oracles.judges.replies import cut_off, token_count
from cal_grpo.oracles.judges.styles import without_correction
from cal_grpo.oracles.types import Again, Query, Tag, Usage, Verdict

_LONGEST_ANSWER = 65_536  # characters


class Reply(NamedTuple):
    """What a server replied, whatever its protocol.

    Attributes:
        prompt_tokens: as it counts them, whatever that is; None where it does not.
        completion_tokens: likewise, the counts of what it wrote: the answer, and the thoughts where they count apart.
        text: what the model wrote.
        cut: whether that was cut off at a limit.
        refused: why there is no answer, in words, where model or server refuse to give one; else "".
        lacking: what the protocol has and the reply has not; else "".
    """

    prompt_tokens: Any
    completion_tokens: tuple[Any, ...]
    text: str = ""
    cut: bool = False
    refused: str = ""
    lacking: str = ""


def read_reply(
    reply: Reply, latency_s: float, price: Price | None, query: Query, style: PromptStyle, max_answer_tokens: int | None
) -> Verdict:
    """A server's reply as a verdict, with what it cost.

    Args:
        reply: what came.
        latency_s: how long it took.
        price: of the model; None where it is not known.
        query: what was asked.
        style: how.
        max_answer_tokens: the limit that was asked for.
    """
    prompt_tokens, completion_tokens = token_count(reply.prompt_tokens), sum(map(token_count, reply.completion_tokens))
    usd = None if price is None else price.usd(prompt_tokens, completion_tokens)
    usage = Usage(1, prompt_tokens, completion_tokens, usd, latency_s)
    if reply.refused:
        return Verdict(Tag.REFUSED, usage=usage, detail=reply.refused)
    if reply.lacking:
        return Verdict(Tag.MALFORMED, usage=usage, detail=f"the reply has no {reply.lacking}")
    return read_answer(reply.text, usage, query, style, cut_off(completion_tokens, max_answer_tokens) if reply.cut else "")


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
    if text and (cut or not answers) and "correction" in style.fields:  # the last may break off behind an earlier one
        answers = max(answers, objects_in(without_correction(text), style.fits), key=len)
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
