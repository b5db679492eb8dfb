"""From Tunix's arrays to graded completions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cal_grpo.grading import Grade
from cal_grpo.pipeline import Completion


def completions_of(
    example: Any,
    columns: Mapping[str, Sequence[Any]],
    grades: Sequence[Grade],
    rewards_B: np.ndarray,
    logprobs_BT: np.ndarray | None,
    ends: frozenset[int],
    end_tokens: bool,
    regrades: Sequence[Callable[[str], Grade]],
) -> list[Completion]:
    """The completions of a batch.

    Args:
        example: Tunix's ``TrainExample``, its ids with or without the tokens that ended answers.
        columns: of the batch; ``question`` and ``reference`` are read.
        grades, rewards_B: a row each.
        logprobs_BT: of the sampler, or None.
        ends: ids that end an answer.
        end_tokens: whether the tokens that ended answers are to get credit.
        regrades: a row each: grades another answer to its question.
    """
    ids_BT, mask_BT = np.asarray(example.completion_ids), np.asarray(example.completion_mask)
    rows = zip(ids_BT, mask_BT, columns["question"], columns["reference"], grades, rewards_B, strict=True)
    made = []
    for row, (ids_T, mask_T, question, reference, grade, reward) in enumerate(rows):
        # Up to the last real token: where pad is eos the mask may have holes.
        length = int(mask_T.nonzero()[0][-1]) + 1 if mask_T.any() else 0
        ended = length > 0 and int(ids_T[length - 1]) in ends
        own = length - 1 if ended else length
        made.append(
            Completion(
                question=str(question),
                reference=str(reference),
                token_ids=ids_T[:own].tolist(),
                grade=grade,
                reward=float(reward),
                logprobs=None if logprobs_BT is None else logprobs_BT[row, :own],
                truncated=not ended and length == len(ids_T),
                end_token=ended and end_tokens,
                end_id=int(ids_T[own]) if ended else None,
                regrade=regrades[row],
            )
        )
    return made
