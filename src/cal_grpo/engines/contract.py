"""What a run asks of whoever trains, and what it is told."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

from cal_grpo import extras
from cal_grpo.config import TrainConfig
from cal_grpo.credit import Formula, formula
from cal_grpo.engines.catalog import ENGINES
from cal_grpo.engines.found import Found
from cal_grpo.grading import Grade
from cal_grpo.oracles import CALOracle
from cal_grpo.pipeline import SUMMED, Credited
from cal_grpo.tasks import Example, TaskData


class Answer(NamedTuple):
    """One answer of a policy; ``truncated``: it was cut off at the longest length that is sampled."""

    text: str
    grade: Grade
    truncated: bool = False


# What every row that an engine gives has, beside ``cal_metrics``; and ``kl``, where there is a reference policy.
METRICS = (
    "step", "loss", "entropy", "grad_norm", "clip_share", "reward", "accuracy", "tokens", "tokens_mean", "tokens_min",
    "tokens_max", "seconds", "compile_seconds",
)  # fmt: skip


def cal_metrics(credited: Credited) -> dict[str, tuple[float, Literal["sum", "mean"]]]:
    """A micro-batch's ``cal/...`` metrics, each with how an update's is made of its micro-batches'."""
    metrics: dict[str, tuple[float, Literal["sum", "mean"]]] = {
        f"cal/{name}": (value, "sum" if name.partition("/")[0] in SUMMED else "mean")
        for name, value in credited.metrics.items()
    }
    return metrics | {f"cal/missed/{reason}": (count, "sum") for reason, count in credited.missed.items()}


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
        truncated: answers that were cut off.
        tokens, credited_tokens: completion tokens sampled, and how many carry an advantage other than 0.
    """

    step: int
    total: int
    rows: int = field(default=0, init=False)
    right: int = field(default=0, init=False)
    judged: int = field(default=0, init=False)
    found: int = field(default=0, init=False)
    truncated: int = field(default=0, init=False)
    tokens: int = field(default=0, init=False)
    credited_tokens: int = field(default=0, init=False)

    def add(self, credited: Credited) -> None:
        """Count another micro-batch."""
        self.rows += len(credited.judged)
        self.right += sum(j.completion.grade.correct for j in credited.judged)
        self.judged += int(credited.metrics["asked"])
        self.found += int(credited.metrics["found"])
        self.truncated += sum(j.completion.truncated for j in credited.judged)
        self.tokens += sum(len(j.completion.token_ids) for j in credited.judged)
        # A column behind an answer's own tokens is the end token's, and no token of the answer
        lengths = (len(j.completion.token_ids) for j in credited.judged)
        rows = zip(credited.advantages_BT, lengths, strict=True)
        self.credited_tokens += sum(int((advantages_T[:length] != 0).sum()) for advantages_T, length in rows)

    @property
    def accuracy(self) -> float:
        return self.right / max(self.rows, 1)

    @property
    def cut_share(self) -> float:
        return self.truncated / max(self.rows, 1)

    @property
    def credit_share(self) -> float:
        return self.credited_tokens / max(self.tokens, 1)


OnCredit = Callable[[UpdateTally, Credited], None]
OnMetrics = Callable[[dict[str, Any]], None]


RewardFn = Callable[..., Sequence[float]]
"""``(prompts, completions, **columns) -> rewards``, a float an answer, as Tunix and TRL call it; the columns are ``question``,
``answer`` and ``reference``."""


@dataclass(frozen=True)
class Parts:
    """What a run is made of, resolved and checked.

    Attributes:
        task: its questions, its grader and its prompts.
        credit: the formula.
        oracle: asked about wrong answers of the training; None where neither credit nor
            corrections need one. The caller closes it.
        reward_fns: their sum is the reward; without any, grading is: 1 for a right answer, 0 for a wrong one.
    """

    task: TaskData
    credit: Formula = field(default_factory=lambda: formula("grpo"))
    oracle: CALOracle | None = None
    reward_fns: Sequence[RewardFn] = ()


class Engine(Protocol):
    """One policy on one training library: ``open``, ``start``, ``learn``, ``save_policy``, ``close``.

    ``answers`` needs no ``start``: before it the policy answers as it was loaded, after it as it has learned so far.

    Attributes:
        held_out: the task's held-out questions whose prompts fit.
        skipped: how many of the ``training`` and ``held-out`` questions have prompts that do not.
        compile_s: seconds spent on compiling so far; 0 for a library that does not compile.
    """

    held_out: Sequence[Example]
    skipped: Mapping[str, int]
    compile_s: float

    @property
    def device(self) -> str:
        """What it runs on, such as ``cpu`` or ``4 x NVIDIA H100 80GB HBM3``."""
        ...

    @classmethod
    def open(cls, config: TrainConfig, parts: Parts) -> Self:
        """Load the policy and render the task for it. Writes nothing.

        Args:
            config: of the run, with the task's lengths (``TrainConfig.fitted``).
            parts: what it is made of.

        Raises:
            UsageError: the checkpoint cannot be trained, or no prompt fits.
        """
        ...

    @staticmethod
    def find_checkpoint(run_dir: Path) -> Found:
        """The update from which ``start`` goes on in a run's folder, once the damaged checkpoints are set aside.

        Nothing is touched.

        Raises:
            UsageError: there are checkpoints, and none can be read.
        """
        ...

    def start(self, run_dir: Path, on_credit: OnCredit, on_metrics: OnMetrics) -> None:
        """Get ready to learn, from the newest checkpoint in the run's folder.

        Args:
            run_dir: checkpoints are read from and written to ``run_dir/checkpoints``.
            on_credit: called with each credited micro-batch and the update it belongs to so far, in order. What it raises,
                ``learn`` raises.
            on_metrics: called with one row an update, when the update is made and before its checkpoint is written. A row
                has ``METRICS`` and the update's ``cal_metrics``, finite or not, all floats but ``step``. ``seconds`` are
                those since the row before but for those of ``answers``, ``compile_seconds`` among them.
        """
        ...

    def learn(self, should_stop: Callable[[], bool]) -> int:
        """Train until ``num_train_steps`` updates are made, or ``should_stop``, asked before each update, says so.

        While it is asked nothing else goes on: it may call ``answers`` and ``save_policy``, which change no update after it.
        The last update has a checkpoint. Returns the updates made in all, those before the checkpoint too.

        Raises:
            Exception: whatever the oracle or a caller's function raised; nothing hangs.
        """
        ...

    def answers(self, samples: int, on_done: Callable[[int], None]) -> Iterator[list[Answers]]:
        """Greedy and ``samples`` sampled answers to each held-out question, ``eval.batch_size`` questions at a time.

        No oracle is asked. ``on_done`` is called with the answers generated so far. The same seed gives the same samples.
        """
        ...

    def save_policy(self, output: Path) -> None:
        """The policy as it is now, as a Hugging Face folder; if asked, its adapter beside it, in ``adapter``."""
        ...

    def close(self) -> None:
        """Tell nothing from now on, and wait for a checkpoint that is being written. Can be called twice, and at any time."""
        ...


def engine_of(name: str) -> type[Engine]:
    """The engine of that name, imported.

    Raises:
        UsageError: there is no engine of that name, and the nearest is named; or it is not installed.
    """
    engine: type[Engine] = extras.load("engine", name, ENGINES)
    return engine
