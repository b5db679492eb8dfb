"""What a run asks of whoever trains, and what it is told."""

from dataclasses import dataclass, field

from cal_grpo.grading import Grade
from cal_grpo.pipeline import Credited
from cal_grpo.tasks import Example

Answer = tuple[str, Grade]


@dataclass(frozen=True)
class Answers:
    """What a policy answered to one question: greedily, and sampled as often as was asked for."""

    example: Example
    greedy: Answer
    samples: list[Answer]


@dataclass(slots=True)
class UpdateTally:
    """One optimizer update as a person wants to see it, added up over its micro-batches.

    Attributes:
        step, total: this update (from 1) and how many there will be.
        rows, right: answers sampled, and how many of them are right.
        judged, found: wrong answers that an oracle was asked about, and how many of these have a mapped span.
        tokens, credited_tokens: completion tokens sampled, and how many carry an advantage other than 0.
    """

    step: int
    total: int
    rows: int = field(default=0, init=False)
    right: int = field(default=0, init=False)
    judged: int = field(default=0, init=False)
    found: int = field(default=0, init=False)
    tokens: int = field(default=0, init=False)
    credited_tokens: int = field(default=0, init=False)

    def add(self, credited: Credited) -> None:
        """Count another micro-batch."""
        self.rows += len(credited.judged)
        self.right += sum(j.completion.grade.correct for j in credited.judged)
        self.judged += int(credited.metrics["asked"])
        self.found += int(credited.metrics["found"])
        self.tokens += sum(len(j.completion.token_ids) for j in credited.judged)
        self.credited_tokens += int((credited.advantages_BT != 0).sum())

    @property
    def accuracy(self) -> float:
        return self.right / max(self.rows, 1)

    @property
    def credit_share(self) -> float:
        return self.credited_tokens / max(self.tokens, 1)
