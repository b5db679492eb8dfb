"""A task of a person's own: a ``TaskData``, or a function of the config that makes one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade
from cal_grpo.tasks.gold import final_answer
from cal_grpo.tasks.split import key_of
from cal_grpo.tasks.types import Example, Grader, TaskData, grade_by_answer

if TYPE_CHECKING:
    from cal_grpo.config import TrainConfig


def own_task(name: str, found: Any, config: "TrainConfig") -> TaskData:
    """The checked task of an object that ``module:name`` led to.

    Raises:
        UsageError: it is not a task, its function failed, or a question of it is no question.
    """
    if not isinstance(found, TaskData):
        if not callable(found):
            raise UsageError(f"task {name!r} is a {type(found).__name__}; expected a TaskData, or a function of the config")
        try:
            found = found(config)
        except UsageError:
            raise
        except Exception as e:
            said = " ".join(f"{type(e).__name__}: {e}".split())
            raise UsageError(f"task {name!r} failed for this config ({said:.200}); correct the function") from e
    return checked_task(f"task {name!r}", found)


def checked_task(name: str, task: Any) -> TaskData:
    """The task, if it is one.

    Raises:
        UsageError: it is not; the message says what it is.
    """
    if not isinstance(task, TaskData):
        raise UsageError(f"{name} gave {ascii(task)[:60]}; expected a cal_grpo.tasks.TaskData")
    if not callable(task.grade):
        raise UsageError(f"{name}: grade is {ascii(task.grade)[:60]}; expected a function of (response, example)")
    for length in ("prompt_tokens", "answer_tokens"):
        tokens = getattr(task, length)
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
            raise UsageError(f"{name}: {length} is {ascii(tokens)[:60]}; expected a number of tokens, 1 or more")
    for prompt in ("system", "answer_format"):
        text = getattr(task, prompt)
        if text is not None and not isinstance(text, str):
            raise UsageError(f"{name}: {prompt} is {ascii(text)[:60]}; expected text or None")
    for part in ("train", "eval"):
        examples = getattr(task, part)
        if not isinstance(examples, Sequence) or isinstance(examples, str):
            raise UsageError(f"{name}: {part} is a {type(examples).__name__}; expected a list of Example")
        for number, example in enumerate(examples):
            _check(example, f"{name}: {part}[{number}]", ours=task.grade is grade_by_answer)
    return task


def _check(example: Any, where: str, ours: bool) -> None:
    if not isinstance(example, Example):
        raise UsageError(f"{where} is {ascii(example)[:60]}; expected an Example")
    for name in ("question", "answer", "reference"):
        text = getattr(example, name)
        if not isinstance(text, str):
            raise UsageError(f"{where}: {name} is {ascii(text)[:60]}; expected text")
        try:
            text.encode()
        except UnicodeEncodeError as e:
            raise UsageError(f"{where}: {name} holds half a character, {text[e.start]!a}; correct or remove it") from None
    if not example.question.strip():
        raise UsageError(f"{where}: question is {example.question!r}; expected text")
    if ours:
        try:
            final_answer(example.answer)
        except ValueError as e:
            raise UsageError(f"{where}: answer {e}, or bring a grader of your own") from None


def shared_questions(task: TaskData) -> int:
    """How many held-out questions are training questions too."""
    keys = {key_of(example.question) for example in task.train}
    return sum(key_of(example.question) in keys for example in task.eval)


def graded(grade: Grader, response: str, example: Example) -> Grade:
    """What a grader says.

    Raises:
        UsageError: it failed, or gave no ``Grade``.
    """
    try:
        said = grade(response, example)
    except UsageError:
        raise
    except Exception as e:
        reason = " ".join(f"{type(e).__name__}: {e}".split())
        raise UsageError(
            f"the task's grader failed on a response to {ascii(example.question)[:60]} ({reason:.200}); correct it"
        ) from e
    if not isinstance(said, Grade):
        raise UsageError(f"the task's grader gave {ascii(said)[:60]}; expected a cal_grpo.Grade")
    return said
