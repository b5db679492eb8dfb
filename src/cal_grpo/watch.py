"""What a run tells whoever is watching it."""

from dataclasses import dataclass, field

from cal_grpo.pipeline import Credited


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


class Watcher:
    """Hears about a run's progress and does nothing; the command line shows it instead."""

    def stage(self, name: str, total: int = 0) -> None:
        """A new part of the run begins; ``total`` units of work, 0 if not known."""

    def advance(self, done: int) -> None:
        """``done`` units of the current stage are finished."""

    def update(self, tally: UpdateTally) -> None:
        """A micro-batch was sampled and credited; ``tally`` is its update so far, the same object until the next begins."""

    def standing(self, text: str) -> None:
        """The result so far, in a line; the next one takes its place."""

    def note(self, text: str) -> None:
        """One line that a person should not miss."""
