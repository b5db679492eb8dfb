"""What a credit formula reads."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cal_grpo.alignment import TokenSpan
from cal_grpo.errors import UsageError


@dataclass(frozen=True, eq=False)
class Batch:
    """Graded and judged completions, group after group: rows ``[g * G, (g + 1) * G)`` are compared with each other.

    Attributes:
        rewards_B: float32 (B,), the grade of each row (1 right, 0 wrong, or what a user's reward functions gave).
        correct_B: bool (B,), rows that need no blame. An oracle is never asked about them.
        lengths_B: int (B,), sampled completion tokens of each row, padding excluded.
        spans: for each row the blamed tokens; None for a right row, and for a wrong one without a mapped quote.
        group_size: G, completions a group: those to one question, or with ``baseline="batch"`` all of an update.
        step_ends: for each row the token index at which each of its steps ends, increasing, the last one its length;
            None where steps are not known. Read by ``survival``.
        logprobs: for each row float32 (T,), the sampler's log-probability of each token; None where the engine does not
            give them. Read by ``probability_mask``.
        rng: the stream for formulas that draw (the controls); reproducible from the run's seed and the step.
    """

    rewards_B: np.ndarray
    correct_B: np.ndarray
    lengths_B: np.ndarray
    spans: Sequence[TokenSpan | None]
    group_size: int
    step_ends: Sequence[np.ndarray] | None = None
    logprobs: Sequence[np.ndarray] | None = None
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        rows = len(self.rewards_B)
        for name, got in (("correct_B", self.correct_B), ("lengths_B", self.lengths_B), ("spans", self.spans)):
            if len(got) != rows:
                raise ValueError(f"{name} has {len(got)} rows, rewards_B has {rows}; expected one entry a completion")
        if self.group_size < 2 or rows % self.group_size:
            raise ValueError(f"{rows} rows do not divide into groups of {self.group_size}; expected whole groups of >= 2")
        for row, span in enumerate(self.spans):
            if span is not None and not 0 <= span.start < span.end <= self.lengths_B[row]:
                raise ValueError(f"row {row}: span [{span.start}, {span.end}) does not lie in its {self.lengths_B[row]} tokens")

        for row, ends in enumerate(self.step_ends or ()):
            if len(ends) and not (ends[0] > 0 and (np.diff(ends) > 0).all() and ends[-1] == self.lengths_B[row]):
                raise ValueError(f"row {row}: step ends {list(ends)} do not rise to its {self.lengths_B[row]} tokens")
        for row, logprobs_T in enumerate(self.logprobs or ()):
            if len(logprobs_T) != self.lengths_B[row]:
                raise ValueError(
                    f"row {row}: {len(logprobs_T)} log-probs for {self.lengths_B[row]} tokens; expected one a token"
                )

    @property
    def width(self) -> int:
        """T: tokens of the longest completion."""
        return int(max(self.lengths_B, default=0))


@dataclass(frozen=True, slots=True)
class Weights:
    """The numbers a person may tune.

    Attributes:
        negative_reward: advantage of a blamed token, < 0 (``sparse`` divides it among the span's tokens).
        prefix_reward: advantage of the tokens before the error, >= 0.
        prefix_share: share of these tokens that ``prefix_shortened`` and ``vppo`` reward, 0 to 1, from the first on.
        mask_probability: ``probability_mask`` leaves out tokens that were at least this likely, 0 to 1.

    Raises:
        UsageError: one of them has the wrong sign or size; it is named. Nothing else checks these numbers.
    """

    negative_reward: float = -1.0
    prefix_reward: float = 0.3
    prefix_share: float = 0.5
    mask_probability: float = 0.9

    def __post_init__(self) -> None:
        if not -math.inf < self.negative_reward < 0:
            raise UsageError(f"negative_reward is {self.negative_reward}; expected a number below 0, such as -1.0")
        if not 0 <= self.prefix_reward < math.inf:
            raise UsageError(f"prefix_reward is {self.prefix_reward}; expected a number >= 0, such as 0.3")
        for name in ("prefix_share", "mask_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1")


Compute = Callable[[Batch, Weights], np.ndarray]
"""From a batch to ``advantages_BT`` (float32, zero behind each row's length). A wrong row without a span gets zeros."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A credit formula and what it needs.

    Attributes:
        name: as a config has it.
        compute: the function.
        needs_oracle: whether it reads ``Batch.spans``; without, no oracle is asked and no fallback is needed.
        reads_logprobs: whether it reads ``Batch.logprobs``, which an engine otherwise need not compute.
    """

    name: str
    compute: Compute
    needs_oracle: bool = True
    reads_logprobs: bool = False


def declares(*, needs_oracle: bool = True, reads_logprobs: bool = False) -> Callable[[Compute], Compute]:
    """A decorator by which a formula's function says what it needs; without it, it needs an oracle and no log-probs."""

    def mark(compute: Compute) -> Compute:
        compute.needs_oracle, compute.reads_logprobs = needs_oracle, reads_logprobs  # type: ignore[attr-defined]
        return compute

    return mark
