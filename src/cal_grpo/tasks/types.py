"""What a task hands on: questions with references; and where a data file keeps them."""

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


@dataclass(frozen=True, slots=True)
class Fields:
    """The columns of a data file.

    Attributes:
        question: column of the question.
        answer: column of the final answer, or of a worked solution that marks it with ``####`` or ``\\boxed``.
        reference: column of the worked solution; None looks for ``reference`` and ``solution``.
        worked: the answer column always holds a worked solution; an answer that is not marked is an error.
    """

    question: str = "question"
    answer: str = "answer"
    reference: str | None = None
    worked: bool = False


USUAL = Fields()
