"""What a task hands on: questions with references."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One question.

    Attributes:
        question: the text a person would be asked.
        answer: the final answer alone, as the grader expects it.
        reference: a correct worked solution; given to the oracle, never to the policy.
    """

    question: str
    answer: str
    reference: str
