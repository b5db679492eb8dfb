"""What the grading room hands on."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["number", "math", "text", "none", "own"]


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on a final answer.

    Attributes:
        correct: whether the answer equals the reference.
        extracted: the answer as read from the response, or None when none could be read.
        expected: the reference answer as read.
        method: how the two were compared; "none" when no answer was found, "own" by a task's own grader.
    """

    correct: bool
    extracted: str | None
    expected: str
    method: Method = "own"
