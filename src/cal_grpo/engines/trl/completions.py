"""From a dataset's row and TRL's ids to a graded completion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade
from cal_grpo.pipeline import Completion
from cal_grpo.tasks import Example

COLUMNS = ("prompt", "answer", "reference")


def check_columns(dataset: Any) -> None:
    """See that a dataset has what credit needs, before a model is loaded.

    Raises:
        UsageError: a column is missing, or there are images.
    """
    names = getattr(dataset, "column_names", None)  # a stream may not know
    if names is None:
        return
    for name in COLUMNS:
        if name not in names:
            raise UsageError(f"the dataset has no column {name!r}; expected the columns {', '.join(COLUMNS)} (and question)")
    if seen := {"image", "images"} & set(names):
        raise UsageError(f"the dataset has the column {min(seen)!r}; credit reads text: leave images out")


def example_of(row: Mapping[str, Any]) -> Example:
    """What a row asks. Without a column ``question`` it is the prompt, or its last user message.

    Raises:
        UsageError: a column is missing, or nothing is asked.
    """
    for name in COLUMNS:
        if not isinstance(row.get(name), str) and name != "prompt":
            raise UsageError(f"a row's {name} is {row.get(name)!r:.60}; expected text in the columns {', '.join(COLUMNS[1:])}")
    question = row.get("question") or _last_question(row.get("prompt"))
    return Example(question, row["answer"], row["reference"])


def _last_question(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    asked = [m["content"] for m in prompt or () if isinstance(m, Mapping) and m.get("role") == "user"]
    if not asked or not isinstance(asked[-1], str):
        raise UsageError(
            f"a row's prompt is {prompt!r:.60}; expected text, or messages with a user's text, or a column question"
        )
    return asked[-1]


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
