"""From graded completions to advantages: the five rooms in a row, for any training engine.

An engine hands over the completions of whole groups and gets back one (B, T) array, the metrics and the records of
what happened. Asking is split from redeeming so that an engine can do other work while an oracle thinks.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from cal_grpo.alignment import Aligner, Decoded, TokenSpan
from cal_grpo.credit import (
    Baseline,
    Batch,
    Fallback,
    Formula,
    OnTrouble,
    Weights,
    assign_credit,
    check_baseline,
    group_relative,
)
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Verdict, blamed, split_steps
from cal_grpo.pipeline.corrections import Corrector
from cal_grpo.pipeline.metrics import correction_metrics, metrics_of
from cal_grpo.pipeline.types import Completion, Correction, Credited, Judged, OracleFailed, Pending


@dataclass(frozen=True)
class CreditPipeline:
    """Oracle, alignment and credit for one tokenizer.

    Attributes:
        oracle: asked about wrong answers only; None where the formula needs none.
        aligner: maps quotes to the policy's tokens.
        credit: the formula.
        weights: its numbers.
        group_size: completions a question, 1 or more.
        on_miss: what a wrong row gets when no error was named or the quote cannot be mapped. ``mean``: over its tokens, the
            mean row sum of the update's wrong rows that have a span, never above 0, so that not being found does not pay;
            where none has one, as ``grpo`` and never above 0. ``grpo``: its group-relative advantage. ``drop``: zeros.
            ``raise``: the run stops.
        on_failure: the same when the call failed.
        on_truncated: the same for an answer that was cut off, which is not asked about.
        corrector: makes rows to learn from of what verdicts say should have stood there; None makes none.
        baseline: what an answer is compared with: the others of its ``group``, or with ``batch`` all of its update, which is
            credited as one group.

    Raises:
        UsageError: a group of one is its own baseline, or corrections are wanted of an oracle that brings none.
    """

    oracle: CALOracle | None
    aligner: Aligner
    credit: Formula
    weights: Weights
    group_size: int
    on_miss: OnTrouble = "mean"
    on_failure: OnTrouble = "mean"
    on_truncated: OnTrouble = "mean"
    corrector: Corrector | None = None
    baseline: Baseline = "group"

    def __post_init__(self) -> None:
        check_baseline(self.baseline, self.group_size)
        if self.oracle is not None:
            if self.corrector is not None and not self.oracle.corrects:
                raise UsageError(
                    f"corrections={self.corrector.corrections!r}, and the oracle {self.oracle.name!r} brings none; "
                    "expected one that does, such as CALOracle(..., corrections=True) of an LLM"
                )
            self.oracle.maps_with(self.aligner)

    def submit(self, completions: Sequence[Completion], stream: tuple[int, ...] = (0,)) -> Pending:
        """Ask about the wrong answers, without waiting. ``stream`` names the draws of formulas that draw."""
        decoded = [self.aligner.decode(c.token_ids) for c in completions]
        return Pending(completions, decoded, self._ask(completions, decoded), stream)

    def _ask(self, completions: Sequence[Completion], decoded: Sequence[Decoded]) -> list[Future[Verdict] | None]:
        verdicts: list[Future[Verdict] | None] = [None] * len(completions)
        if self.oracle is None or not (self.credit.needs_oracle or self.corrector):
            return verdicts
        rows = [row for row, c in enumerate(completions) if not c.grade.correct and not c.truncated]
        queries = [Query(completions[row].question, completions[row].reference, decoded[row].text) for row in rows]
        for row, future in zip(rows, self.oracle.submit_all(queries), strict=True):
            verdicts[row] = future
        return verdicts

    def redeem(self, pending: Pending, mean_found: Callable[[], float | None] | None = None) -> Credited:
        """Wait for the verdicts, map their quotes and compute the advantages.

        Args:
            pending: what ``submit`` gave.
            mean_found: gives that of the whole update, and may wait for it; asked only where a row's credit depends on it.
                None: ``pending`` is all of the update, as it always is where that is the baseline.

        Raises:
            UsageError: the judge rejects its first question, see ``CALOracle.submit_all``; or the update is the baseline and
                has one row.
            OracleFailed: a verdict or its quote is unusable and ``on_failure``, ``on_miss`` or ``on_truncated`` says ``raise``.
            Exception: whatever an oracle object of the caller's own raised.
        """
        judged = self._judge(pending)
        fallbacks = [self._fallback(j) for j in judged]
        batch = self._batch(pending, judged)
        mean = None
        if "mean" in fallbacks:
            mean = self.mean_found([pending]) if mean_found is None else mean_found()
        advantages_BT = assign_credit(self.credit, batch, self.weights, fallbacks, mean)
        missed = Counter(j.miss for j in judged if j.miss is not None and self.credit.needs_oracle)
        metrics = metrics_of(batch, advantages_BT, judged)
        if self.credit.needs_oracle and (wrong := int((~batch.correct_B).sum())):
            metrics["missed_share"] = missed.total() / wrong
        corrections: list[Correction] = []
        left_out: dict[int, str] = {}
        if self.corrector is not None:
            corrections, left_out = self.corrector.rows(judged, self.aligner, self.group_size)
            metrics |= correction_metrics(corrections, left_out)
        wide_BT = self._with_end_tokens(advantages_BT, batch, pending)
        return Credited(wide_BT, batch, metrics, missed, judged, corrections, left_out)

    def _judge(self, pending: Pending) -> list[Judged]:
        judged = []
        for completion, decoded, future in zip(pending.completions, pending.decoded, pending.verdicts, strict=True):
            verdict = None if future is None else future.result()
            found = verdict is not None and verdict.segment
            outcome = blamed(self.aligner, decoded, verdict) if verdict is not None and found else None
            judged.append(Judged(completion, decoded, verdict, outcome))
        return judged

    def _batch(self, pending: Pending, judged: Sequence[Judged]) -> Batch:
        rows = len(pending.completions)
        check_baseline(self.baseline, self.group_size, rows=rows)
        return Batch(
            rewards_B=np.array([c.reward for c in pending.completions], dtype=np.float32),
            correct_B=np.array([c.grade.correct for c in pending.completions], dtype=bool),
            lengths_B=np.array([len(c.token_ids) for c in pending.completions], dtype=np.int64),
            spans=[j.outcome if isinstance(j.outcome, TokenSpan) else None for j in judged],
            group_size=self.group_size if self.baseline == "group" else rows,
            step_ends=[step_ends(d) for d in pending.decoded],
            logprobs=_logprobs(pending.completions),
            rng=np.random.default_rng(pending.stream),
        )

    def mean_found(self, update: Sequence[Pending]) -> float | None:
        """The mean row sum of an update's wrong rows that have a span; None where none has one. Waits for its verdicts."""
        sums: list[float] = []
        for pending in update if self.baseline == "group" else [Pending.joined(update)]:
            batch = self._batch(pending, self._judge(pending))
            if any(span is not None for span in batch.spans):
                advantages_BT = assign_credit(self.credit, batch, self.weights, ["drop"] * len(batch.spans))
                sums += [float(advantages_BT[row].sum()) for row, span in enumerate(batch.spans) if span is not None]
        return sum(sums) / len(sums) if sums else None

    def _with_end_tokens(self, advantages_BT: np.ndarray, batch: Batch, pending: Pending) -> np.ndarray:
        """With a column more, in which a completion's end token has the last token's credit, where any is trained."""
        if not any(c.end_token for c in pending.completions):
            return advantages_BT
        wide_BT = np.pad(advantages_BT, ((0, 0), (0, 1)))
        group_B = group_relative(batch.rewards_B, batch.group_size)
        for row, completion in enumerate(pending.completions):
            if completion.end_token:
                length = len(completion.token_ids)
                # An empty answer has no last token; as any other without a span, it is not paid.
                wide_BT[row, length] = advantages_BT[row, length - 1] if length else min(group_B[row], 0.0)
        return wide_BT

    def _fallback(self, judged: Judged) -> Fallback | None:
        if judged.miss is None or not self.credit.needs_oracle:
            return None
        if judged.verdict is None:
            option, chosen = "on_truncated", self.on_truncated
        elif judged.verdict.tag.is_failure:
            option, chosen = "on_failure", self.on_failure
        else:
            option, chosen = "on_miss", self.on_miss
        if chosen != "raise":
            return chosen
        verdict = judged.verdict
        if verdict is None:
            raise OracleFailed(
                f"an answer was cut off after {len(judged.completion.token_ids)} tokens; expected it to end by itself; raise "
                f"rollout.max_new_tokens, or set {option} to 'mean', 'grpo' or 'drop' to go on with it"
            )
        if verdict.tag is Tag.OVER_BUDGET and self.oracle is not None and self.oracle.on_spent is not None:
            return "drop"  # the run stops in good order instead
        raise OracleFailed(
            f"the oracle gave no usable span: {judged.miss} ({verdict.detail or f'its quote was {verdict.segment[:60]!r}'}); "
            f"expected an error segment; set {option} to 'mean', 'grpo' or 'drop' to go on without it"
        )


def step_ends(decoded: Decoded) -> np.ndarray:
    """int64: the token index at which each step (a sentence of a line) ends; the last is T."""
    spans = [decoded.tokens(step.start, step.end) for step in split_steps(decoded.text)]
    ends = sorted({span[1] for span in spans if span is not None})
    return np.array([*ends[:-1], len(decoded)] if len(decoded) else [], dtype=np.int64)


def _logprobs(completions: Sequence[Completion]) -> list[np.ndarray] | None:
    given = [c.logprobs for c in completions if c.logprobs is not None]
    return given if len(given) == len(completions) else None
