"""The worlds of the second part: what a reference looks like, and with which policy a training begins."""

import functools
from collections.abc import Sequence

import numpy as np

from cal_grpo.tasks import Example
from study.second.arm import Trial
from study.second.wordy import wordy
from study.simulator import Learner, LossSettings, Params, Rows
from study.trial import OPTIMIZER
from study.world import Question, World

_SKIPPED = 3  # a terse reference tells every third total
_WORDY_TOKENS = 20  # of an answer, for each step
_LESSONS, _LESSONS_SEED, _LESSONS_RATE = 80, 1_000_000, 1e-3  # updates of 64 stories that no trial's seed draws


def terse(example: Example) -> str:
    """The story's solution as a person jots it down: every third total, in words, then the answer."""
    *equations, answer = example.reference.split("\n")
    totals = [equation.partition("=")[2] for equation in equations]
    told = [f"after {i} changes there are {totals[i - 1]}" for i in range(_SKIPPED, len(totals) + 1, _SKIPPED)]
    return "\n".join([", ".join(told), answer])


def _none(example: Example) -> str:
    return ""


def _whole(example: Example) -> str:
    return example.reference


_REFERENCES = {"ledger": _whole, "terse": terse, "answers": _none, "wordy": wordy}


@functools.lru_cache(maxsize=2)
def world_of(policy: str, steps: int, group_size: int, held_out: int, first: int, world: str) -> World:
    """A world of the second part, with its compiled sampler. That of many forms begins with a policy that has learned them."""
    if world != "wordy":
        return World(policy, steps, group_size, held_out, first, _REFERENCES[world])
    made = World(policy, steps, group_size, held_out, first, wordy, 16 + _WORDY_TOKENS * steps)
    made.params = lessons(made, _LESSONS)
    return made


def lessons(world: World, updates: int, each: int = 64) -> Params:
    """The policy after updates on so many references each, of stories of their own: on one machine always the same."""
    learner = Learner(world.params, world.shape, OPTIMIZER, LossSettings(), _LESSONS_RATE)
    batches = world.training(_LESSONS_SEED, each)
    for _ in range(updates):
        questions = next(batches)
        learner.learn(by_heart(world, questions, [world.solution_ids(q) for q in questions]))
    return learner.params


def by_heart(
    world: World,
    questions: Sequence[Question],
    ids: Sequence[Sequence[int]],
    begins: Sequence[int] | None = None,
    weights: Sequence[float] | None = None,
) -> Rows:
    """Rows to learn: to each question the ids of an answer, from a token on and with a weight; whole and 1 by default."""
    width = world.sampler.max_tokens
    ids_BT, weights_BT = np.zeros((len(ids), width), np.int32), np.zeros((len(ids), width), np.float32)
    for row, row_ids in enumerate(ids):
        ids_BT[row, : len(row_ids)] = row_ids
        weights_BT[row, begins[row] if begins else 0 : len(row_ids)] = weights[row] if weights else 1.0
    return Rows(world.pad(questions), ids_BT, weights_BT)


def for_trial(trial: Trial, held_out: int, first: int) -> World:
    """The world that a trial trains in."""
    return world_of(trial.policy, trial.steps, trial.arm.answers, held_out, first, trial.world)
