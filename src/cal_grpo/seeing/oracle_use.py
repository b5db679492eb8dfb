"""What a run's oracle was asked, and what that took."""

from typing import NamedTuple

import numpy as np

from cal_grpo.seeing.finite import finite
from cal_grpo.seeing.run import Run


class OracleUse(NamedTuple):
    """Totals of a run; None where they are not known.

    Attributes:
        asked, found: wrong answers judged, and those with a span.
        calls, retried: calls made, and those among them that asked again.
        cached: answers that needed no call.
        tokens: of prompts and answers.
        usd: dollars; None where the model's price is unknown.
        latency_p50_s, latency_p95_s: seconds of a call.
    """

    asked: int
    found: int
    calls: int | None
    retried: int | None
    cached: int
    tokens: int | None
    usd: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None


def oracle_use(run: Run) -> OracleUse:
    """From the judge log, which holds every call even of a run that was killed; without one, from the summary."""
    asked, found, cached = (round(run.total(f"cal/{name}")) for name in ("asked", "found", "cached"))
    if not run.calls:
        oracle = (run.summary or {}).get("oracle")
        known = {key: finite(value) for key, value in oracle.items()} if isinstance(oracle, dict) else {}
        calls, retried, tokens = (None if (n := known.get(name)) is None else int(n) for name in ("calls", "retried", "tokens"))
        return OracleUse(asked, found, calls, retried, cached, tokens, known.get("usd"), None, None)
    made = [call for call in run.calls if (finite(call.get("calls")) or 0) > 0]
    latencies = [s for call in made if (s := finite(call.get("latency_s"))) is not None]
    usd = [finite(call.get("usd")) for call in made]
    return OracleUse(
        asked,
        found,
        calls=sum(int(finite(call.get("calls")) or 0) for call in made),
        retried=sum((finite(call.get("attempt")) or 0) > 1 for call in made),
        cached=cached,
        tokens=sum(int(finite(call.get(name)) or 0) for call in made for name in ("prompt_tokens", "completion_tokens")),
        usd=None if None in usd else sum(cost for cost in usd if cost is not None),
        latency_p50_s=float(np.percentile(latencies, 50)) if latencies else None,
        latency_p95_s=float(np.percentile(latencies, 95)) if latencies else None,
    )
