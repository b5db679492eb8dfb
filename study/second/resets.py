"""Resets: a wrong answer is taken up again before its first wrong step, and the new endings learn from one another.

Source: SRPO, "Credit Assignment with Resets in Language Model Reasoning", arXiv 2605.25507. There the policy names the wrong
step itself; here the judge does, as for every other arm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cal_grpo.alignment import TokenSpan
from cal_grpo.credit.group import group_relative
from cal_grpo.grading import grade_answer
from cal_grpo.pipeline import Credited
from study.simulator import Params, Prompts, Rollouts
from study.world import Question, World


@dataclass(frozen=True)
class Endings:
    """K new endings of each reset answer, group after group, as a learner takes them.

    Attributes:
        prompts: what was asked, and the tokens that were kept.
        rollouts: the endings; those of padding rows have no tokens.
        advantages_BT: float32, group-relative among the endings of one answer.
        correct_B: which endings made their answer right; padding rows are left out.
    """

    prompts: Prompts
    rollouts: Rollouts
    advantages_BT: np.ndarray
    correct_B: np.ndarray


def kept_tokens(credited: Credited) -> dict[int, int]:
    """By row of a wrong answer with a verdict: how many of its tokens stand before the blamed ones."""
    return {row: j.outcome.start for row, j in enumerate(credited.judged) if isinstance(j.outcome, TokenSpan)}


def endings(
    world: World, params: Params, questions: Sequence[Question], credited: Credited, each: int, seed: int, update: int
) -> Endings:
    """``each`` endings of every wrong answer with a verdict; one answer was sampled to each question.

    Arrays have a place for every question, so that one shape is compiled.
    """
    kept = kept_tokens(credited)
    begun = [list(credited.judged[row].completion.token_ids[:count]) for row, count in kept.items()]
    filled = [*(questions[row] for row in kept), *questions][: len(questions)]
    prompts = world.pad(filled, [*begun, *([[]] * len(questions))][: len(questions)])
    drawn = world.endings(params, prompts, each, seed, update)
    real_B = np.arange(len(questions) * each) < len(kept) * each
    rollouts = Rollouts(drawn.ids_BT, np.where(real_B, drawn.lengths_B, 0), drawn.logprobs_BT, drawn.ended_B & real_B)
    correct_B = np.array(
        [
            grade_answer(world.text([*begun[i // each], *ids_T[:length].tolist()]), filled[i // each].example.answer).correct
            for i, (ids_T, length) in enumerate(zip(drawn.ids_BT[real_B], drawn.lengths_B[real_B], strict=True))
        ],
        dtype=bool,
    )
    rewards_B = np.zeros(len(real_B))
    rewards_B[real_B] = correct_B
    lengths_B = rollouts.lengths_B + rollouts.ended_B
    on_BT = np.arange(drawn.ids_BT.shape[1])[None, :] < lengths_B[:, None]
    advantages_BT = np.where(on_BT, group_relative(rewards_B, each)[:, None], 0).astype(np.float32)
    return Endings(prompts, rollouts, advantages_BT, correct_B)
