"""From an example and TRL's ids to a graded completion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cal_grpo.grading import Grade
from cal_grpo.pipeline import Completion
from cal_grpo.tasks import Example


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer on its way to the main process.

    Attributes:
        example: what was asked.
        token_ids: as sampled, without the token that ended it.
        end_id: that token; None where it was cut off.
    """

    example: Example
    token_ids: Sequence[int]
    end_id: int | None

    @classmethod
    def of(cls, example: Example, token_ids: Sequence[int], ends: frozenset[int]) -> "Answered":
        """One of TRL's answers: an end token is its last id; one without was cut off."""
        if token_ids and token_ids[-1] in ends:
            return cls(example, list(token_ids[:-1]), int(token_ids[-1]))
        return cls(example, list(token_ids), None)

    def completion(
        self,
        grade: Grade,
        reward: float,
        logprobs_T: np.ndarray | None,
        end_tokens: bool,
        regrade: Callable[[str], Grade],
    ) -> Completion:
        """With what the main process knows of it."""
        return Completion(
            question=self.example.question,
            reference=self.example.reference,
            token_ids=self.token_ids,
            grade=grade,
            reward=reward,
            logprobs=None if logprobs_T is None else logprobs_T[: len(self.token_ids)],
            truncated=self.end_id is None,
            end_token=self.end_id is not None and end_tokens,
            end_id=self.end_id,
            regrade=regrade,
        )
