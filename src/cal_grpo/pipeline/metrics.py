"""What a batch of credited completions comes to in numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from cal_grpo.alignment import TokenSpan
from cal_grpo.credit import Batch, group_relative, token_mask
from cal_grpo.pipeline.types import Correction, Judged

# Metrics that add up over the parts of an update; the others are means.
SUMMED = frozenset(
    {"asked", "found", "cached", "usd", "corrections", "correction_tokens", "corrections_copied", "corrections_dropped"}
)


def sums_of(judged: Sequence[Judged]) -> dict[str, float]:
    """The metrics of rows that add up over the parts of an update."""
    asked = [j.verdict for j in judged if j.verdict is not None]
    return {
        "asked": float(len(asked)),
        "found": float(sum(isinstance(j.outcome, TokenSpan) for j in judged)),
        "cached": float(sum(v.cached for v in asked)),
        "usd": sum(v.usage.usd or 0.0 for v in asked if not v.cached),
    }


def metrics_of(batch: Batch, advantages_BT: np.ndarray, judged: Sequence[Judged]) -> dict[str, float]:
    """The metrics of a batch, ``sums_of`` and means.

    ``advantages_BT`` is that of the completions' own tokens. What has no value is left out: a mean of nothing is not 0.
    """
    spans = [j.outcome for j in judged if isinstance(j.outcome, TokenSpan)]
    mask_BT = token_mask(batch.lengths_B)
    group_BT = np.where(mask_BT, group_relative(batch.rewards_B, batch.group_size)[:, None], 0)
    latencies = [j.verdict.usage.latency_s for j in judged if j.verdict is not None and not j.verdict.cached]
    metrics = sums_of(judged)
    metrics["cut_share"] = float(np.mean([j.completion.truncated for j in judged])) if judged else 0.0
    if spans:
        metrics["span_tokens"] = float(np.mean([len(s) for s in spans]))
    if latencies:
        metrics["latency_p50_s"], metrics["latency_p95_s"] = map(float, np.percentile(latencies, [50, 95]))
    if mask_BT.any():
        metrics["credit_share"] = float((advantages_BT != 0).sum() / mask_BT.sum())
        metrics["advantage_variance"] = float(advantages_BT[mask_BT].var())
        metrics["advantage_variance_grpo"] = float(group_BT[mask_BT].var())
    return metrics


def correction_metrics(corrections: Sequence[Correction], left_out: Mapping[int, str]) -> dict[str, float]:
    """Answers that are corrected, the tokens trained for it, copies of the reference, and what was left out, by reason too."""
    reasons = Counter(left_out.values())
    return {
        "corrections": float(sum(c.count for c in corrections)),
        "correction_tokens": float(sum(len(c.token_ids) for c in corrections)),
        "corrections_copied": float(sum(c.count for c in corrections if c.copied) + reasons["copied"]),
        "corrections_dropped": float(len(left_out)),
    } | {f"corrections_dropped/{reason}": float(count) for reason, count in reasons.items() if count}
