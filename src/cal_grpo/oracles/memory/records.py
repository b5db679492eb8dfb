"""Queries and verdicts as JSON, for the cache and the judge log."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from cal_grpo.oracles.corrections import bounded
from cal_grpo.oracles.types import Query, Tag, Usage, Verdict


def request_digest(query: Query) -> str:
    """The query's content address: the same text, the same digest."""
    return digest([query.question, query.reference, query.response])


def digest(value: Any) -> str:
    """SHA-256 of a JSON value, as 64 hexadecimal digits."""
    # ASCII, because text from outside may hold lone surrogates, which UTF-8 cannot encode.
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).hexdigest()


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a flat JSON object; ``correction`` is there where it has one."""
    usage = verdict.usage
    return {
        "tag": str(verdict.tag),
        "critique": verdict.critique,
        "segment": verdict.segment,
        "hint": verdict.hint,
        "confidence": verdict.confidence,
        "detail": verdict.detail,
        "calls": usage.calls,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "usd": usage.usd,
        "latency_s": round(usage.latency_s, 4),
    } | ({"correction": verdict.correction} if verdict.correction else {})


def read_verdict(record: Any) -> Verdict:
    """The verdict of a record, marked as cached.

    Raises:
        ValueError: it is not a verdict's record.
    """
    try:
        usage = Usage(record["calls"], record["prompt_tokens"], record["completion_tokens"], record["usd"], record["latency_s"])
        texts = [record[name] for name in ("critique", "segment", "detail")] + [record.get("correction", "")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(record["hint"], str | None):
            raise ValueError("critique, segment, hint, detail and correction must be text")
        critique, segment, detail, correction = texts
        told = Verdict(Tag(record["tag"]), critique, segment, record["hint"], record["confidence"], usage, cached=True)
        return bounded(replace(told, detail=detail, correction=correction))
    except (KeyError, TypeError) as e:
        raise ValueError(f"not a verdict: {type(e).__name__} {e}") from e
