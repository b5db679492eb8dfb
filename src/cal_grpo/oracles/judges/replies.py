"""What an HTTP judge's replies and errors mean, whoever the provider is."""

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.judges.prices import Price
from cal_grpo.oracles.judges.prompt import PromptStyle
from cal_grpo.oracles.memory import digest
from cal_grpo.oracles.types import Again, Tag, Usage, Verdict

_SPENT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance")
_LONGEST_REST_S = 86_400.0  # what a server asks for beyond a day is a day: nobody waits for either
_MOST_TOKENS = 2**53
_TAGS = {408: Tag.TIMEOUT, 504: Tag.TIMEOUT, 429: Tag.RATE_LIMITED, 409: Tag.UNAVAILABLE}


def tag_of_status(status: int) -> Tag:
    """The outcome that an HTTP error status stands for."""
    return _TAGS.get(status, Tag.UNAVAILABLE if status >= 500 else Tag.REJECTED)


def is_spent(body: Any) -> bool:
    """Whether an error says that there is no money left, which no waiting mends."""
    if isinstance(body, dict):
        return any(is_spent(body.get(name)) for name in ("error", "detail", "code", "type"))
    return any(map(is_spent, body)) if isinstance(body, list) else body in _SPENT


def cut_off(tokens: int, max_answer_tokens: int | None) -> str:
    """What is told of an answer that came to a limit before its end."""
    if max_answer_tokens is None or 0 < tokens < max_answer_tokens:
        limit = "the server's own limit: give it more context or longer answers"
    else:
        limit = f"oracle.max_answer_tokens={max_answer_tokens}: raise it"
    after = f" after {tokens} tokens" if tokens else ""
    return f"the answer was cut off{after}, before its JSON was complete, by {limit}"


def failed(
    tag: Tag, error: Exception | str, began: float, price: Price | None, retry_after_s: float | None = None, again: Again = ""
) -> Verdict:
    """A call that brought no answer.

    Args:
        tag: what went wrong.
        error: its whole message becomes the detail.
        began: ``time.monotonic()`` when the call began.
        price: of the model; None where it is not known, and so not what the call cost.
        retry_after_s: what the server asked for.
        again: see ``Verdict``.
    """
    detail = str(error).strip() or type(error).__name__
    usage = Usage(calls=1, usd=None if price is None else 0.0, latency_s=time.monotonic() - began)
    return Verdict(tag, usage=usage, detail=detail, retry_after_s=retry_after_s, again=again)


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Seconds that a server asks to wait, given as seconds or as a date; None when it does not say."""
    value = headers.get("retry-after") if headers is not None else None
    if value is None:
        return None
    try:
        return seconds_or_none(float(value))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
        return seconds_or_none((at - datetime.now(at.tzinfo)).total_seconds())
    except (ValueError, OverflowError, TypeError):
        return None


def retry_delay(details: Any) -> float | None:
    """The same from the body of a Gemini error, where ``RetryInfo`` holds it: ``"retryDelay": "34s"``."""
    try:
        infos = [info for info in details["error"]["details"] if str(info.get("@type", "")).endswith("RetryInfo")]
        found = re.fullmatch(r"(\d+(?:\.\d+)?)s", infos[0]["retryDelay"])
    except (AttributeError, KeyError, IndexError, TypeError):
        return None
    return seconds_or_none(float(found[1])) if found else None


def seconds_or_none(value: float) -> float | None:
    return min(max(0.0, value), _LONGEST_REST_S) if math.isfinite(value) else None


def token_count(value: Any) -> int:
    """Tokens as a server counts them; 0 where what it says can be no count: the answer was given, and is worth as much."""
    counts = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return int(value) if counts else 0


def required_model(oracle: str, model: str | None) -> str:
    """The model of an oracle that has no default.

    Raises:
        UsageError: none is named.
    """
    if model:
        return model
    one = (
        "a Hugging Face folder: --judge-model FOLDER"
        if oracle == "local"
        else f"one: --judge-model NAME, --oracle {oracle}:NAME"
    )
    raise UsageError(f"oracle {oracle!r} got no model; name {one} or the key cal_model")


def identity(
    oracle: str, model: str, instructions: str, sampling: Mapping[str, Any], style: PromptStyle, ask_again: int = 0
) -> dict[str, str]:
    """Everything besides the query that decides an LLM oracle's answer.

    Args:
        oracle, model: names.
        instructions: the static prompt, few-shot examples included; they enter as their digest.
        sampling: the settings asked for.
        style: how the answer is asked for and read.
        ask_again: how often it is asked for again.
    """
    again = {"ask_again": ask_again} if "segment" in style.fields else {}
    return {
        "oracle": oracle,
        "model": model,
        "prompt": style.version,
        "instructions": digest([instructions, style.schema()])[:16],
        "sampling": " ".join(f"{name}={value}" for name, value in sorted((dict(sampling) | again).items())),
    }
