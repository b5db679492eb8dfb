"""What a run tells whoever is watching it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepView:
    """One finished batch of rollouts, as a person wants to see it.

    Attributes:
        step, total: this update (from 1) and how many there will be.
        accuracy: share of right answers among this batch's rollouts.
        judged: wrong answers that an oracle was asked about.
        found: of these, how many have a mapped span.
        credit_share: share of completion tokens with an advantage other than 0.
        tokens: completion tokens sampled.
    """

    step: int
    total: int
    accuracy: float
    judged: int
    found: int
    credit_share: float
    tokens: int


class Watcher:
    """Hears about a run's progress and does nothing; the command line shows it instead."""

    def stage(self, name: str, total: int = 0) -> None:
        """A new part of the run begins; ``total`` units of work, 0 if not known."""

    def advance(self, done: int) -> None:
        """``done`` units of the current stage are finished."""

    def step(self, view: StepView) -> None:
        """A training batch was sampled and credited."""

    def note(self, text: str) -> None:
        """One line that a person should not miss."""
