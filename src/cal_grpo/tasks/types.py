"""What a task hands on: questions with references, and who grades their answers."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cal_grpo.grading import Grade, grade_answer

Message = tuple[str, str]  # role, content


@dataclass(frozen=True, slots=True)
class Example:
    """One question. A task of your own may subclass it to carry what its grader needs.

    Attributes:
        question: the text a person would be asked.
        answer: the final answer alone, as the grader expects it.
        reference: a correct worked solution; given to the oracle, never to the policy.
        before: what the policy is shown before the question: a system message of its own, earlier turns.
    """

    question: str
    answer: str
    reference: str
    before: tuple[Message, ...] = ()


Grader = Callable[[str, Example], Grade]


def grade_by_answer(response: str, example: Example) -> Grade:
    """The usual grader: the response's final answer equals the example's."""
    return grade_answer(response, example.answer)


@dataclass(frozen=True)
class TaskData:
    """A task: its questions, how long its prompts and answers get, and what is right.

    Attributes:
        train: questions to train on.
        eval: held-out questions.
        prompt_tokens, answer_tokens: lengths of a run that sets none; with a tokenizer that spells out digits.
        grade: ``(response, example) -> Grade``; called from more than one thread. Its ``correct`` is the reward, and what
            it finds wrong the oracle is asked about.
        system: a system prompt for every question that has none of its own.
        answer_format: how an answer is to be written; shown behind the question, a blank line between.
        notes: what a person should know about the data, a line each.
    """

    train: Sequence[Example]
    eval: Sequence[Example]
    prompt_tokens: int
    answer_tokens: int
    grade: Grader = grade_by_answer
    system: str | None = None
    answer_format: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of all that the policy is shown, in order, and what it is graded against; the grader's code is not in it."""
        digest = hashlib.sha256(json.dumps([self.system, self.answer_format]).encode())
        for part in (self.train, self.eval):
            for e in part:
                digest.update(json.dumps([e.question, e.answer, e.reference, e.before]).encode() + b"\n")
            digest.update(b"\n")
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Fields:
    """The columns of a data file. A dot reaches into a nested field, unless a column has that very name.

    Attributes:
        question: column of the question, text or chat messages; None looks for ``question`` and ``prompt``.
        answer: column of the final answer, or of a worked solution that marks it with ``####`` or ``\\boxed``; None looks for
            ``answer``, ``solution`` and ``reward_model.ground_truth``.
        reference: column of the worked solution; None looks for ``reference`` and ``solution``.
        worked: the answer column always holds a worked solution; an answer that is not marked is an error.
    """

    question: str | None = None
    answer: str | None = None
    reference: str | None = None
    worked: bool = False


USUAL = Fields()
