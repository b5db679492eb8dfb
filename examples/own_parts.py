"""Four parts of your own: a task with its grader, a reward, an oracle and a credit formula.

    cal-grpo train --task own_parts:load --oracle own_parts:FirstDifference \
        --set reward=own_parts:reward --set credit=own_parts:halved --set num_train_steps=2

The working directory comes last on Python's path, so run it where this file lies.
"""

import itertools

import numpy as np

from cal_grpo import Grade, Query, Tag, Verdict
from cal_grpo.credit import Batch, Weights, group_relative, token_mask
from cal_grpo.tasks import Example, TaskData, stories


def load(config) -> TaskData:
    """Stories, whose answer counts only behind its mark: what is right is this task's business."""
    train, held_out = (stories(seed=config.seed, steps=8, split=split) for split in ("train", "eval"))
    questions = list(itertools.islice(train, 64)), list(itertools.islice(held_out, config.max_eval_samples))
    return TaskData(*questions, prompt_tokens=128, answer_tokens=104, grade=grade)


def grade(response: str, example: Example) -> Grade:
    found = response.rpartition("#### ")[2].strip() if "#### " in response else None
    return Grade(correct=found == example.answer, extracted=found, expected=example.answer)


def reward(prompts, completions, **columns) -> list[float]:
    """1 for a right answer, and a little for one that is marked at all."""
    rows = zip(completions, columns["answer"], strict=True)
    return [float(text.strip().endswith(f"#### {answer}")) + 0.1 * ("#### " in text) for text, answer in rows]


class FirstDifference:
    """Blames the first line that the reference solution does not have."""

    name, free = "first-difference", True

    async def locate(self, query: Query) -> Verdict:
        known = set(query.reference.splitlines())
        line = next((line for line in query.response.splitlines() if line.strip() and line not in known), None)
        return Verdict(Tag.FOUND, segment=line) if line else Verdict(Tag.ABSTAINED)


def halved(batch: Batch, weights: Weights) -> np.ndarray:
    """Group-relative credit on right answers; of wrong ones the span, at half of GRPO's weight."""
    advantages_B = group_relative(batch.rewards_B, batch.group_size)
    advantages_BT = np.where(token_mask(batch.lengths_B) & batch.correct_B[:, None], advantages_B[:, None], 0)
    for row, span in enumerate(batch.spans):
        if span is not None:
            advantages_BT[row, span.start : span.end] = min(advantages_B[row], 0) / 2
    return advantages_BT
