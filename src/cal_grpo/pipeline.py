"""From graded completions to advantages: the five rooms in a row, for any training engine.

An engine hands over the completions of whole groups and gets back one (B, T) array, the metrics and the records of
what happened. Asking is split from redeeming so that an engine can do other work while an oracle thinks.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cal_grpo.alignment import Aligner, Decoded, Miss, TokenSpan
from cal_grpo.credit import Batch, Fallback, Formula, Weights, assign_credit, group_relative, token_mask
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade
from cal_grpo.oracles import CALOracle, Query, Tag, Verdict, split_steps

OnTrouble = Literal["drop", "grpo", "raise"]


class OracleFailed(UsageError):
    """An oracle's call failed, or its answer could not be used, and the config said ``raise``."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer.

    Attributes:
        question, reference: what was asked, and its worked solution.
        token_ids: T ids as sampled, padding and end-of-text excluded.
        grade, reward: of the answer.
        logprobs: (T,) of the sampler, where the engine gives them.
    """

    question: str
    reference: str
    token_ids: Sequence[int]
    grade: Grade
    reward: float
    logprobs: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one completion. ``verdict`` is None for a right answer, which no oracle sees."""

    completion: Completion
    decoded: Decoded
    verdict: Verdict | None
    outcome: TokenSpan | Miss | None

    @property
    def text(self) -> str:
        """The response as the oracle read it."""
        return self.decoded.text


@dataclass(frozen=True)
class Pending:
    """Completions whose verdicts are on their way."""

    completions: Sequence[Completion]
    decoded: Sequence[Decoded]
    verdicts: Sequence[Future[Verdict] | None]

    def part(self, rows: slice) -> "Pending":
        """Some of the rows, whole groups."""
        return Pending(self.completions[rows], self.decoded[rows], self.verdicts[rows])


@dataclass(frozen=True)
class Credited:
    """advantages_BT (float32, T = longest completion), what they were made from, the batch's metrics, and a record a row."""

    advantages_BT: np.ndarray
    batch: Batch
    metrics: dict[str, float]
    missed: Counter[str]
    judged: Sequence[Judged]


@dataclass(frozen=True)
class CreditPipeline:
    """Oracle, alignment and credit for one tokenizer.

    Attributes:
        oracle: asked about wrong answers only; None where the formula needs none.
        aligner: maps quotes to the policy's tokens.
        credit: the formula.
        weights: its numbers.
        group_size: completions a question.
        on_miss: what a row gets when no error was named or the quote cannot be mapped.
        on_failure: what a row gets when the call failed.
    """

    oracle: CALOracle | None
    aligner: Aligner
    credit: Formula
    weights: Weights
    group_size: int
    on_miss: OnTrouble = "grpo"
    on_failure: OnTrouble = "grpo"

    def submit(self, completions: Sequence[Completion]) -> Pending:
        """Ask about the wrong answers, without waiting."""
        decoded = [self.aligner.decode(c.token_ids) for c in completions]
        oracle = self.oracle if self.credit.needs_oracle else None
        verdicts = [
            oracle.submit(Query(c.question, c.reference, d.text)) if oracle is not None and not c.grade.correct else None
            for c, d in zip(completions, decoded, strict=True)
        ]
        return Pending(completions, decoded, verdicts)

    def redeem(self, pending: Pending, rng: np.random.Generator) -> Credited:
        """Wait for the verdicts, map their quotes and compute the advantages.

        Raises:
            OracleFailed: a verdict or its quote is unusable and ``on_failure`` or ``on_miss`` says ``raise``.
            Exception: whatever an oracle object of the caller's own raised.
        """
        judged = [
            self._judge(completion, decoded, future)
            for completion, decoded, future in zip(pending.completions, pending.decoded, pending.verdicts, strict=True)
        ]
        batch = Batch(
            rewards_B=np.array([c.reward for c in pending.completions], dtype=np.float32),
            correct_B=np.array([c.grade.correct for c in pending.completions], dtype=bool),
            lengths_B=np.array([len(c.token_ids) for c in pending.completions], dtype=np.int64),
            spans=[j.outcome if isinstance(j.outcome, TokenSpan) else None for j in judged],
            group_size=self.group_size,
            step_ends=[step_ends(d) for d in pending.decoded],
            logprobs=_logprobs(pending.completions),
            rng=rng,
        )
        advantages_BT = assign_credit(self.credit, batch, self.weights, [self._fallback(j) for j in judged])
        missed = Counter(reason for j in judged if (reason := miss_reason(j)) is not None)
        return Credited(advantages_BT, batch, _metrics(batch, advantages_BT, judged), missed, judged)

    def _judge(self, completion: Completion, decoded: Decoded, future: Future[Verdict] | None) -> Judged:
        if future is None:
            return Judged(completion, decoded, None, None)
        verdict = future.result()
        if not verdict.segment:
            return Judged(completion, decoded, verdict, None)
        outcome = self.aligner.map(decoded, verdict.segment, hint=verdict.hint)
        return Judged(completion, decoded, verdict, outcome)

    def _fallback(self, judged: Judged) -> Fallback | None:
        if judged.verdict is None or isinstance(judged.outcome, TokenSpan):
            return None
        policy = self.on_failure if judged.verdict.tag.is_failure else self.on_miss
        if policy == "raise":
            if judged.verdict.tag is Tag.OVER_BUDGET and self.oracle is not None and self.oracle.on_spent is not None:
                return "drop"  # the run stops in good order instead
            detail = judged.verdict.detail or f"its quote was {judged.verdict.segment[:60]!r}"
            option = "on_failure" if judged.verdict.tag.is_failure else "on_miss"
            raise OracleFailed(
                f"the oracle gave no usable span: {miss_reason(judged)} ({detail}); "
                f"expected an error segment; set {option} to 'grpo' or 'drop' to go on without it"
            )
        return policy


def step_ends(decoded: Decoded) -> np.ndarray:
    """int64: the token index at which each step (a sentence of a line) ends; the last is T."""
    spans = [decoded.tokens(step.start, step.end) for step in split_steps(decoded.text)]
    ends = sorted({span[1] for span in spans if span is not None})
    return np.array([*ends[:-1], len(decoded)] if len(decoded) else [], dtype=np.int64)


def _logprobs(completions: Sequence[Completion]) -> list[np.ndarray] | None:
    given = [c.logprobs for c in completions if c.logprobs is not None]
    return given if len(given) == len(completions) else None


def miss_reason(judged: Judged) -> str | None:
    """Why a judged wrong answer has no span: the verdict's tag, or ``quote_`` and the mapping's reason."""
    if judged.verdict is None or isinstance(judged.outcome, TokenSpan):
        return None
    return f"quote_{judged.outcome.reason}" if isinstance(judged.outcome, Miss) else str(judged.verdict.tag)


def _metrics(batch: Batch, advantages_BT: np.ndarray, judged: Sequence[Judged]) -> dict[str, float]:
    asked = [j.verdict for j in judged if j.verdict is not None]
    spans = [j.outcome for j in judged if isinstance(j.outcome, TokenSpan)]
    mask_BT = token_mask(batch.lengths_B)
    group_BT = np.where(mask_BT, group_relative(batch.rewards_B, batch.group_size)[:, None], 0)
    latencies = [v.usage.latency_s for v in asked if not v.cached]
    return {
        "asked": len(asked),
        "found": len(spans),
        "cached": sum(v.cached for v in asked),
        "span_tokens": float(np.mean([len(s) for s in spans])) if spans else 0.0,
        "credit_share": float((advantages_BT != 0).sum() / max(mask_BT.sum(), 1)),
        "latency_p50_s": float(np.percentile(latencies, 50)) if latencies else 0.0,
        "latency_p95_s": float(np.percentile(latencies, 95)) if latencies else 0.0,
        "advantage_variance": float(advantages_BT[mask_BT].var()) if mask_BT.any() else 0.0,
        "advantage_variance_grpo": float(group_BT[mask_BT].var()) if mask_BT.any() else 0.0,
        "usd": sum(v.usage.usd or 0.0 for v in asked if not v.cached),
    }
