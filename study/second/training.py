"""One training of the second part."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from cal_grpo.credit import Formula, Weights
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import CALOracle
from cal_grpo.pipeline import Completion, Corrector, Credited, CreditPipeline
from study.second import resets
from study.second.arm import Trial
from study.second.judge import TruthfulJudge, WordyJudge, solution_of
from study.second.worlds import by_heart
from study.simulator import Learner, LossSettings, Rows
from study.trial import OPTIMIZER
from study.world import Question, World

Row = dict[str, Any]


def run(world: World, trial: Trial) -> Iterator[Row]:
    """The training, as one row a held-out evaluation, the first before any update.

    ``held_out`` is a bool array, which questions were right greedily; in the last row ``right_of_k`` has how many of
    ``trial.samples`` were. The other numbers are sums since the row before: ``seconds``, ``tokens`` that were sampled,
    ``trained_tokens`` with any credit or weight, ``judged`` answers and ``judge_tokens`` that the judge wrote; and means:
    ``accuracy`` and ``length`` of sampled answers, ``kl``, ``grad_norm``.
    """
    arm = trial.arm
    learner = Learner(world.params, world.shape, OPTIMIZER, LossSettings(beta=trial.beta), trial.learning_rate)
    pool = list(world.first_training(trial.seed, trial.pool))
    truths = {q.example.question: q.example.reference for q in pool}
    judge = (WordyJudge if trial.world == "wordy" else TruthfulJudge)(truths, trial.judge, trial.seed)
    batches = world.passes(trial.seed, arm.questions, trial.pool)
    sft = arm.credit == "none" and arm.rows == "reference"
    yield {"update": 0, "held_out": np.array(world.start_accuracy)}
    since: list[dict[str, float]] = []
    with CALOracle(judge) as oracle:
        pipeline = _pipeline(world, trial, oracle)
        for update in range(1, trial.updates + 1):
            began = time.perf_counter()
            questions = next(batches)
            numbers = (
                _by_heart(world, learner, trial, questions)
                if sft or update <= arm.sft_updates
                else _by_answers(world, learner, trial, pipeline, questions, update)
            )
            since.append(numbers | {"seconds": time.perf_counter() - began})
            if update % trial.evaluate_every == 0 or update == trial.updates:
                row: Row = {"update": update} | _together(since)
                row["held_out"] = np.array(world.accuracy(learner.params))
                if update == trial.updates and trial.samples:
                    right_QK = world.right_of_k(learner.params, trial.samples, len(world.held_out), seed=0, batch_size=32)
                    row["right_of_k"] = right_QK.sum(axis=1)
                yield row
                since.clear()


def _pipeline(world: World, trial: Trial, oracle: CALOracle) -> CreditPipeline:
    arm = trial.arm
    nothing = Formula("none", lambda batch, weights: np.zeros((len(batch.spans), batch.width), np.float32), arm.rows != "own")
    corrector = None
    if arm.rows in ("step", "rest", "other"):
        mode: Literal["step", "rest"] = "step" if arm.rows == "step" else "rest"
        corrector = Corrector(mode, world.encode, world.sampler.max_tokens)
    return world.pipeline(
        nothing if arm.credit == "none" else arm.credit, oracle, Weights(prefix_reward=arm.prefix_reward), "mean",
        baseline=arm.baseline, corrector=corrector,
    )  # fmt: skip


def _solutions(world: World, trial: Trial, questions: Sequence[Question]) -> list[tuple[Question, list[int]]]:
    """What is learned of questions: references, or where there are none the judge's own solutions that are graded right."""
    if trial.world != "answers":
        return [(q, world.solution_ids(q)) for q in questions]
    texts = [solution_of(q.example.question, q.example.reference, trial.judge, trial.seed) for q in questions]
    return [
        (q, [*world.encode(text), world.end_id])
        for q, text in zip(questions, texts, strict=True)
        if grade_answer(text, q.example.answer).correct
    ]


def _by_heart(world: World, learner: Learner, trial: Trial, questions: Sequence[Question]) -> dict[str, float]:
    known = _solutions(world, trial, questions)
    rows = by_heart(world, [q for q, _ in known], [ids for _, ids in known])
    trained = float((rows.weights_BT > 0).sum())
    return learner.learn(rows) | {"trained_tokens": trained, "tokens": 0.0, "judged": 0.0, "judge_tokens": trained}


def _by_answers(
    world: World, learner: Learner, trial: Trial, pipeline: CreditPipeline, questions: Sequence[Question], update: int
) -> dict[str, float]:
    prompts, rollouts = world.roll_out(learner.params, questions, trial.seed, update)
    completions = world.completions(questions, rollouts, trial.arm.answers, end_tokens=True)
    credited = pipeline.redeem(pipeline.submit(completions, (trial.seed, update)))
    if trial.arm.resets:
        return _by_endings(world, learner, trial, questions, credited, update)
    rows = _taught(world, trial, questions, completions, credited)
    numbers = learner.update(prompts, rollouts, credited.advantages_BT, True, rows)
    written = sum(
        len(world.encode(j.verdict.correction)) for j in credited.judged if j.verdict is not None and j.verdict.correction
    )
    wrong_BT = credited.advantages_BT[~credited.batch.correct_B]
    learned = 0 if rows is None else int((rows.weights_BT > 0).sum())
    return numbers | {
        "trained_tokens": float((credited.advantages_BT != 0).sum() + learned),
        "tokens": float(credited.batch.lengths_B.sum()),
        "accuracy": float(credited.batch.correct_B.mean()),
        "length": float(credited.batch.lengths_B.mean()),
        "judged": credited.metrics["asked"],
        "judge_tokens": float(written) if pipeline.corrector is not None else 0.0,
        "corrections": credited.metrics.get("corrections", 0.0),
        "credit_sum_wrong": float(wrong_BT.sum() / max(len(wrong_BT), 1)),
    }  # fmt: skip


def _by_endings(
    world: World, learner: Learner, trial: Trial, questions: Sequence[Question], credited: Credited, update: int
) -> dict[str, float]:
    again = resets.endings(world, learner.params, questions, credited, trial.arm.resets, trial.seed, update)
    numbers = learner.update(again.prompts, again.rollouts, again.advantages_BT, True)
    return numbers | {
        "trained_tokens": float((again.advantages_BT != 0).sum()),
        "tokens": float(credited.batch.lengths_B.sum() + again.rollouts.lengths_B.sum() + again.rollouts.ended_B.sum()),
        "accuracy": float(credited.batch.correct_B.mean()),
        "length": float(credited.batch.lengths_B.mean()),
        "judged": credited.metrics["asked"],
        "judge_tokens": 0.0,
        "endings": float(len(again.correct_B)),
        "right_endings": float(again.correct_B.sum()),
    }


def _taught(
    world: World, trial: Trial, questions: Sequence[Question], completions: Sequence[Completion], credited: Credited
) -> Rows | None:
    """What is learned by heart beside the rollouts; None where nothing is."""
    arm, each = trial.arm, trial.arm.answers
    if arm.rows == "off":
        return None
    if arm.rows == "reference":  # as often as its question has a wrong answer
        wrong_Q = (~credited.batch.correct_B).reshape(-1, each).sum(axis=1)
        asked = [q for q, count in zip(questions, wrong_Q, strict=True) for _ in range(count)]
        known = _solutions(world, trial, asked)
        return by_heart(world, [q for q, _ in known], [ids for _, ids in known], weights=[arm.weight] * len(known))
    if arm.rows == "own":
        rows = [row for row, c in enumerate(completions) if c.grade.correct]
        ids = [(*completions[row].token_ids, world.end_id) for row in rows]
        return by_heart(world, [questions[row // each] for row in rows], ids, weights=[arm.weight] * len(rows))
    corrections = list(credited.corrections)
    texts = [c.token_ids for c in corrections]
    if arm.rows == "other":
        texts = texts[1:] + texts[:1]
    width = world.sampler.max_tokens
    ids = [(*completions[c.row].token_ids[: c.kept], *t)[:width] for c, t in zip(corrections, texts, strict=True)]
    return by_heart(
        world, [questions[c.row // each] for c in corrections], ids, [c.kept for c in corrections],
        [arm.weight * c.count for c in corrections],
    )  # fmt: skip


def _together(rows: list[dict[str, float]]) -> dict[str, float]:
    means = ("accuracy", "length", "kl", "grad_norm", "loss", "entropy", "rows_loss", "credit_sum_wrong")
    sums = {name: sum(row.get(name, 0.0) for row in rows) for name in {name for row in rows for name in row}}
    return {name: value / len(rows) if name in means else value for name, value in sums.items()}
