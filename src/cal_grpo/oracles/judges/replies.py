"""What an HTTP judge's replies and errors mean, whoever the provider is."""

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cal_grpo.oracles.judges.prompt import PromptStyle
from cal_grpo.oracles.memory import digest
from cal_grpo.oracles.types import Tag, Usage, Verdict

_SHORTEST_KEY = 8  # what is shorter stands in for a key, such as "none" for a local server
_TAGS = {408: Tag.TIMEOUT, 504: Tag.TIMEOUT, 429: Tag.RATE_LIMITED, 409: Tag.UNAVAILABLE}


def tag_of_status(status: int) -> Tag:
    """The outcome that an HTTP error status stands for."""
    return _TAGS.get(status, Tag.UNAVAILABLE if status >= 500 else Tag.REJECTED)


def failed(
    tag: Tag, error: Exception | str, began: float, usd: float | None, secret: str, retry_after_s: float | None = None
) -> Verdict:
    """A call that brought no answer.

    Args:
        tag: what went wrong.
        error: its first line becomes the detail, the secret blacked out.
        began: ``time.monotonic()`` when the call began.
        usd: what it cost; None where the model's price is unknown.
        secret: the API key.
        retry_after_s: what the server asked for.
    """
    text = str(error).strip() or type(error).__name__
    detail = without_secret(" ".join(text.splitlines()[:1]), secret)[:200]
    usage = Usage(calls=1, usd=usd, latency_s=time.monotonic() - began)
    return Verdict(tag, usage=usage, detail=detail, retry_after_s=retry_after_s)


def without_secret(text: str, secret: str) -> str:
    """The text with the API key blacked out: servers and proxies are known to echo it."""
    return text.replace(secret, "[key]") if len(secret) >= _SHORTEST_KEY else text


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
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(at.tzinfo)).total_seconds())


def retry_delay(details: Any) -> float | None:
    """The same from the body of a Gemini error, where ``RetryInfo`` holds it: ``"retryDelay": "34s"``."""
    try:
        infos = [info for info in details["error"]["details"] if str(info.get("@type", "")).endswith("RetryInfo")]
        found = re.fullmatch(r"(\d+(?:\.\d+)?)s", infos[0]["retryDelay"])
    except (AttributeError, KeyError, IndexError, TypeError):
        return None
    return seconds_or_none(float(found[1])) if found else None


def seconds_or_none(value: float) -> float | None:
    return max(0.0, value) if math.isfinite(value) else None


def identity(oracle: str, model: str, instructions: str, sampling: Mapping[str, Any], style: PromptStyle) -> dict[str, str]:
    """Everything besides the query that decides an LLM oracle's answer.

    Args:
        oracle, model: names.
        instructions: the static prompt, few-shot examples included; they enter as their digest.
        sampling: the settings asked for.
        style: how the answer is asked for and read.
    """
    return {
        "oracle": oracle,
        "model": model,
        "prompt": style.version,
        "instructions": digest([instructions, style.schema])[:16],
        "sampling": " ".join(f"{name}={value}" for name, value in sorted(sampling.items())),
    }
