"""One training of the study: the same policy, questions, rollout noise and budget whatever the credit."""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from cal_grpo.config import EMBEDDED, load_config
from cal_grpo.credit import Batch, Weights
from cal_grpo.engines.tunix.training import adam
from cal_grpo.oracles import CALOracle, ReferenceOracle
from cal_grpo.pipeline import Credited
from study.misjudge import Misjudging
from study.simulator import Learner, LossSettings
from study.survival import error_step
from study.world import World


@dataclass(frozen=True, slots=True)
class Trial:
    """What tells one training from another.

    Attributes:
        credit: formula.
        steps: changes in a story, the length of the chain.
        learning_rate, beta: of the update.
        seed: of questions and rollout noise.
        policy: where to start, ``"embedded"`` or a folder.
        misjudged: share of verdicts that are moved to another step.
        updates: length of the training.
        batch_size: questions an update.
        evaluate_every: updates between two held-out evaluations; also before the first and after the last.
        pass_questions, pass_k: pass@k at the end on so many held-out questions; 0: not measured.
        prefix_reward, negative_reward: see ``Weights``.
        train_end_token: whether the token that ends an answer is trained, and answers that were cut off are known as such.
    """

    credit: str
    steps: PositiveInt
    learning_rate: PositiveFloat
    seed: NonNegativeInt
    policy: str = EMBEDDED
    beta: NonNegativeFloat = 0.02
    misjudged: Annotated[float, Field(ge=0, le=1)] = 0.0
    updates: PositiveInt = 40
    batch_size: PositiveInt = 8
    evaluate_every: PositiveInt = 10
    pass_questions: NonNegativeInt = 0
    pass_k: PositiveInt = 16
    prefix_reward: float = 0.3
    negative_reward: float = -1.0
    train_end_token: bool = False

    def __str__(self) -> str:
        wrong = f", judge wrong {self.misjudged:.0%}" if self.misjudged else ""
        return f"{self.credit}, {self.steps} steps, learning rate {self.learning_rate:g}{wrong}, seed {self.seed}"


# The library's own, with the learning rate as a factor, so that every trial shares one compiled update.
OPTIMIZER = adam(load_config(overrides={"learning_rate": 1.0}))
_METRICS = ("asked", "found", "credit_share", "advantage_variance", "advantage_variance_grpo")


def run(world: World, trial: Trial) -> Iterator[dict[str, Any]]:
    """The training, as one row a held-out evaluation, the first before any update.

    ``held_out`` is a bool array, which questions were right. ``seconds`` and ``tokens`` are sums since the row before, the
    other numbers of the batches are means. The last row also has ``right_of_k``: right answers of k to each question.
    """
    learner = Learner(world.params, world.shape, OPTIMIZER, LossSettings(beta=trial.beta), trial.learning_rate)
    judge = Misjudging(ReferenceOracle(), trial.misjudged, trial.seed) if trial.misjudged else ReferenceOracle()
    batches = world.training(trial.seed, trial.batch_size)
    weights = Weights(trial.negative_reward, trial.prefix_reward)
    with CALOracle(judge) as oracle, CALOracle(ReferenceOracle()) as truth:
        pipeline = world.pipeline(trial.credit, oracle, weights)
        measuring = world.pipeline("sparse", truth, weights)  # where the errors are, for credit that does not ask too
        yield {"update": 0, "held_out": np.array(world.start_accuracy)}
        since: list[dict[str, float]] = []
        for update in range(1, trial.updates + 1):
            began = time.perf_counter()
            questions = next(batches)
            prompts, rollouts = world.roll_out(learner.params, questions, trial.seed, update)
            completions = world.completions(questions, rollouts, world.group_size, trial.train_end_token)
            credited = pipeline.redeem(pipeline.submit(completions, (trial.seed, update)))
            numbers = learner.update(prompts, rollouts, credited.advantages_BT, trial.train_end_token)
            numbers |= {"seconds": time.perf_counter() - began} | _batch_numbers(credited)
            numbers["step_error_rate"] = _step_error_rate(measuring.redeem(measuring.submit(completions)).batch)
            since.append(numbers)
            if update % trial.evaluate_every == 0 or update == trial.updates:
                row: dict[str, Any] = {"update": update} | _together(since)
                row["held_out"] = np.array(world.accuracy(learner.params))
                if update == trial.updates and trial.pass_questions:
                    right_QK = world.right_of_k(learner.params, trial.pass_k, trial.pass_questions, seed=0)
                    row["right_of_k"] = right_QK.sum(axis=1)
                yield row
                since.clear()


def _batch_numbers(credited: Credited) -> dict[str, float]:
    batch = credited.batch
    return {
        "accuracy": float(batch.correct_B.mean()),
        "tokens": int(batch.lengths_B.sum()),
        "length": float(batch.lengths_B.mean()),
        "answer_steps": float(np.mean([len(ends) for ends in batch.step_ends or ()])),
        **{name: credited.metrics.get(name, 0.0) for name in _METRICS},
    }


def _step_error_rate(batch: Batch) -> float:
    """First errors over the steps that were reached without one: the hazard of a step."""
    errors = [error_step(batch, row) for row in range(len(batch.spans))]
    reached = sum(len(ends) if e is None else e + 1 for e, ends in zip(errors, batch.step_ends or (), strict=True))
    return sum(e is not None for e in errors) / max(reached, 1)


def _together(rows: list[dict[str, float]]) -> dict[str, float]:
    sums = {name: sum(row[name] for row in rows) for name in rows[0]}
    return {name: value if name in ("seconds", "tokens") else value / len(rows) for name, value in sums.items()}


def start_of(trial: Trial) -> tuple[str, int]:
    """What a ``World`` is built from; trials that share it share the world."""
    return trial.policy, trial.steps


def settings(trial: Trial) -> Trial:
    """The trial without its seed: what is averaged over."""
    return dataclasses.replace(trial, seed=0)
