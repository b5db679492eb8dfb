"""The steps style: the response is shown with its steps numbered, and the judge names a number.

A number out of a list maps to a place whatever the judge, where a quote has to be copied right.
"""

import re
from collections.abc import Mapping
from typing import Any

from cal_grpo.oracles.judges.few_shot import FewShot
from cal_grpo.oracles.judges.prompt import PromptStyle, Reading
from cal_grpo.oracles.steps import hint_for, split_steps
from cal_grpo.oracles.types import Query

_TASK = """You are a careful grader of worked solutions. You get a question, a correct reference solution and a student's \
response whose final answer is wrong. Each step of the response has a number in front, such as [1]. Find the first place \
where the response goes wrong: the earliest step that is not valid, even if later steps contain more mistakes.

Answer with one JSON object with these fields, in this order:
  "critique": in one to three sentences, check the steps in turn and say what is wrong with the first wrong one;
  "step": the number of that step, or 0 if you find no mistake."""


# A number, however it is set apart, alone or in front of the step's text
_FIGURES = re.compile(r"[^\d-]{0,12}(\d{1,6})(?:(?:\.0*)?\D{0,4}|[\]).:]\s.*)", re.DOTALL)


def numbered(response: str) -> str:
    """A response with a number before each step, which has a line of its own."""
    return "\n".join(f"[{number}] {step.text}" for number, step in enumerate(split_steps(response), 1))


def _choices(response: str) -> list[int]:
    return list(range(len(split_steps(response)) + 1))


def _show(shot: FewShot) -> dict[str, Any]:
    at = shot.incorrect_solution.index(shot.error_segment)
    ends = [step.end for step in split_steps(shot.incorrect_solution)]
    return {"critique": shot.critique, "step": 1 + sum(end <= at for end in ends)}


def _read(answer: Mapping[str, Any], query: Query) -> Reading:
    steps, said = split_steps(query.response), answer["step"]
    figures = _FIGURES.fullmatch(str(said).strip())
    if figures is None or int(figures[1]) > len(steps):
        raise ValueError(f"the answer names step {str(said)[:40]!r}; expected 0 to {len(steps)}")
    if int(figures[1]) == 0:
        return Reading(answer["critique"] or "", "", None)
    step = steps[int(figures[1]) - 1]
    return Reading(answer["critique"] or "", step.text, hint_for(query.response, step))


STEPS = PromptStyle(
    name="steps",
    version="steps-1",
    task=_TASK,
    fields=("critique", "step"),
    required=("critique", "step"),
    show=_show,
    read=_read,
    present=numbered,
    choices={"step": _choices},
)
