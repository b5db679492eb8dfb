"""What tells one training of the second part from another."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from cal_grpo.config import EMBEDDED
from cal_grpo.credit import Baseline

Teaching = Literal["off", "step", "rest", "other", "reference", "own"]
WorldName = Literal["ledger", "terse", "answers", "wordy"]


@dataclass(frozen=True, slots=True)
class Judge:
    """A simulated judge that knows the story's truth.

    Attributes:
        misplaced: share of verdicts that are moved to a uniformly drawn other step of the response, the correction with it.
        silent: share of questions to which it names no error.
        slips: share of corrections with a mistake: half of these carry it to their final answer, half do not.
        reads: it reads the world's reference with the library's free oracle and writes no corrections; the other rates are 0.
    """

    misplaced: Annotated[float, Field(ge=0, le=1)] = 0.0
    silent: Annotated[float, Field(ge=0, le=1)] = 0.0
    slips: Annotated[float, Field(ge=0, le=1)] = 0.0
    reads: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to learn.

    Attributes:
        credit: formula; ``none`` gives no answer any credit, and samples none where nothing else asks for them.
        questions, answers: of an update, so many answers to each question.
        baseline: what the formula's group is.
        rows: what is learned by heart beside it: a correction's first ``step`` or all its ``rest``, the rest that belongs to an
            ``other`` wrong answer (a control), the whole ``reference``, or the policy's ``own`` right answers.
        weight: of these rows' tokens.
        prefix_reward: see ``Weights``.
        sft_updates: before any of these, so many updates on the whole references alone.
        resets: of each wrong answer, so many endings from its first wrong step on, which alone are learned; see ``resets``.
    """

    credit: str
    questions: PositiveInt = 8
    answers: PositiveInt = 8
    baseline: Baseline = "group"
    rows: Teaching = "off"
    weight: PositiveFloat = 1.0
    prefix_reward: NonNegativeFloat = 0.3
    sft_updates: NonNegativeInt = 0
    resets: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        """Raises: ValueError: endings have nothing to be compared with, or something else would be learned beside them."""
        if self.resets == 1 or (self.resets and (self.answers != 1 or self.rows != "off" or self.credit != "none")):
            raise ValueError("resets needs two endings or more, credit none, one answer a question and no rows")

    def __str__(self) -> str:
        rows = "" if self.rows == "off" else f" + {self.rows}" + (f" × {self.weight:g}" if self.weight != 1 else "")
        after = f" after {self.sft_updates} of SFT" if self.sft_updates else ""
        resets = f", {self.resets} resets" if self.resets else ""
        return f"{self.credit} {self.questions} × {self.answers}{rows}{after}{resets}"


@dataclass(frozen=True, slots=True)
class Trial:
    """One training: an arm in a world, with a rate and a seed.

    Attributes:
        steps: changes in a story.
        pool: training questions; all are asked again and again.
        world: ``ledger``: references in the policy's own form. ``terse``: in another one, which skips steps. ``answers``: none.
            ``wordy``: in one of the many that the policy has.
        updates, evaluate_every: of the training.
        samples: answers at temperature 1 to each held-out question at the end.
    """

    arm: Arm
    steps: PositiveInt
    learning_rate: PositiveFloat
    seed: NonNegativeInt
    world: WorldName = "ledger"
    judge: Judge = Judge()
    policy: str = EMBEDDED
    pool: PositiveInt = 320
    beta: NonNegativeFloat = 0.02
    updates: PositiveInt = 40
    evaluate_every: PositiveInt = 10
    samples: NonNegativeInt = 4

    def __post_init__(self) -> None:
        """Raises: ValueError: a world has no such judge."""
        if self.world == "wordy" and self.judge.reads:
            raise ValueError("world 'wordy' has no judge that reads; leave judge.reads out")

    def __str__(self) -> str:
        judge = "" if self.judge == Judge() else f", judge {self.judge.misplaced:.0%} misplaced"
        return f"{self.arm}, {self.world} {self.steps}, rate {self.learning_rate:g}{judge}, seed {self.seed}"

    @property
    def key(self) -> "Trial":
        """The trial without its seed: what is averaged over."""
        return dataclasses.replace(self, seed=0)
