"""Labelled solutions as ProcessBench and PRM800K publish them, as the texts and labels of a bench."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cal_grpo.errors import UsageError

_NO_ERROR = "no step is marked wrong"


class Marked(NamedTuple):
    """A solution step by step, and what is known beside it.

    Attributes:
        question, reference: texts; ``reference`` is "" where the file has none.
        steps: texts of the response's steps, in order.
        between: what stands between two steps.
        first_error: index of the first wrong step.
        answer: the right final answer; None where the file has none.
        key: what the file calls the solution; None where it does not.
    """

    question: str
    reference: str
    steps: Sequence[str]
    between: str
    first_error: int
    answer: str | None = None
    key: str | None = None


def is_public(row: Mapping[str, Any]) -> bool:
    """Whether a row has the form of one of the two: a problem with steps, or a label with steps."""
    return ("problem" in row and "steps" in row) or (isinstance(row.get("label"), Mapping) and "steps" in row["label"])


def read_public(row: Mapping[str, Any], where: str) -> Marked | str:
    """The solution of a row; or why the row has no place in a bench, in words.

    Raises:
        UsageError: the row has not the form that it should have.
    """
    return _processbench(row, where) if "problem" in row else _prm800k(row, where)


def _processbench(row: Mapping[str, Any], where: str) -> Marked | str:
    """``label`` is the index of the first wrong step, -1 where there is none. There is no reference solution."""
    question, steps, label = _text(row, "problem", where), row["steps"], row.get("label")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, str) for step in steps):
        raise UsageError(f"{where}: steps is {steps!r:.60}; expected a list of texts")
    if type(label) is not int or not -1 <= label < len(steps):
        raise UsageError(f"{where}: label is {label!r:.40}; expected the index of a step, 0 to {len(steps) - 1}, or -1")
    key = row.get("id")
    return Marked(question, "", steps, "\n\n", label, key=None if key is None else str(key)) if label >= 0 else _NO_ERROR


def _prm800k(row: Mapping[str, Any], where: str) -> Marked | str:
    """The first step on the labelled way that is rated -1. The way ends there; what was generated behind it is added where the
    question holds it (``pre_generated_steps``)."""
    about, label = row.get("question"), row["label"]
    if not isinstance(about, Mapping):
        raise UsageError(f"{where}: question is {about!r:.60}; expected an object with problem and ground_truth_answer")
    if label.get("finish_reason") == "bad_problem":
        return "the problem is marked as bad"
    question, way = _text(about, "problem", where), _way(label["steps"], where)
    if way is None:
        return _NO_ERROR
    generated = about.get("pre_generated_steps")
    if isinstance(generated, list) and generated[: len(way)] == way and all(isinstance(step, str) for step in generated):
        steps: list[str] = generated
    else:
        steps = way
    solution, answer = (about.get(name) for name in ("ground_truth_solution", "ground_truth_answer"))
    right = answer if isinstance(answer, str) and answer.strip() else None
    reference = solution if isinstance(solution, str) and solution.strip() else right or ""
    return Marked(question, reference, steps, "\n", len(way) - 1, right)


def _way(steps: Any, where: str) -> list[str] | None:
    """The texts that were gone on with, up to the first that is rated -1; None where none is."""
    if not isinstance(steps, list):
        raise UsageError(f"{where}: label.steps is {steps!r:.60}; expected a list")
    texts: list[str] = []
    for number, step in enumerate(steps):
        taken = _taken(step, f"{where}, label.steps[{number}]")
        if taken is None:
            break
        texts.append(_text(taken, "text", f"{where}, label.steps[{number}]"))
        if taken.get("rating") == -1:
            return texts
    return None


def _taken(step: Any, where: str) -> Mapping[str, Any] | None:
    """The chosen completion, else a person's own, else the first wrong one; None where there is none of these."""
    completions, human, chosen = (
        step.get(name) if isinstance(step, Mapping) else None
        for name in ("completions", "human_completion", "chosen_completion")
    )
    if not isinstance(step, Mapping) or not isinstance(completions, list | None):
        raise UsageError(f"{where} is {step!r:.60}; expected an object with completions, a list")
    listed = completions or []
    if not all(isinstance(one, Mapping) for one in listed):
        raise UsageError(f"{where}: completions is {listed!r:.60}; expected objects with text and rating")
    if chosen is not None:
        if type(chosen) is not int or not 0 <= chosen < len(listed):
            raise UsageError(
                f"{where}: chosen_completion is {chosen!r:.40}; expected an index of its {len(listed)} completions"
            )
        return dict(listed[chosen])
    if human is not None:
        return dict(human) if isinstance(human, Mapping) else {"text": human}
    return next((dict(one) for one in listed if one.get("rating") == -1), None)


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise UsageError(f"{where}: {name} is {value!r:.60}; expected text (it has {', '.join(map(str, row)) or 'nothing'})")
    return value
