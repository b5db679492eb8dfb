"""The worlds of the second part: what a reference looks like."""

import functools

from cal_grpo.tasks import Example
from study.second.arm import Trial
from study.world import World

_SKIPPED = 3  # a terse reference tells every third total


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


_REFERENCES = {"ledger": _whole, "terse": terse, "answers": _none}


@functools.lru_cache(maxsize=2)
def world_of(policy: str, steps: int, group_size: int, held_out: int, first: int, world: str) -> World:
    """A world of the second part, with its compiled sampler."""
    return World(policy, steps, group_size, held_out, first, _REFERENCES[world])


def for_trial(trial: Trial, held_out: int, first: int) -> World:
    """The world that a trial trains in."""
    return world_of(trial.policy, trial.steps, trial.arm.answers, held_out, first, trial.world)
