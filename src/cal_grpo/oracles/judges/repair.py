"""The repair style: the judge writes the response as it should have been, and a comparison finds where it departs.

Judges are better at doing it right than at pointing, and a place that is computed from two texts is always in the response.
"""

from collections.abc import Mapping
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.departure import departure
from cal_grpo.oracles.judges.few_shot import FewShot
from cal_grpo.oracles.judges.prompt import PromptStyle, Reading
from cal_grpo.oracles.types import Query

_TASK = """You are a careful grader of worked solutions. You get a question, a correct reference solution and a student's \
response whose final answer is wrong. Repair the response: find the earliest step that is not valid, and write the response \
again as it should have been.

Answer with one JSON object with these fields, in this order:
  "corrected": the whole corrected response. Copy every line before the first mistake word for word, in the student's own \
words and order, even where you would have written it differently. Correct the first wrong line with as few changes as \
possible, and carry on from there to the right answer, one line for each line of the response as far as that goes. If \
nothing is wrong, copy the response;
  "critique": in one or two sentences, what is wrong with the first line that you changed."""


def _show(shot: FewShot) -> dict[str, str]:
    if not shot.corrected_solution.strip():
        raise UsageError("the repair style got an example without corrected_solution; add it, or use the direct style")
    return {"corrected": shot.corrected_solution, "critique": shot.critique}


def _read(answer: Mapping[str, Any], query: Query) -> Reading:
    critique = answer.get("critique")
    corrected = answer["corrected"] or ""
    if not corrected.strip():
        raise ValueError("the corrected solution is empty")
    said = critique if isinstance(critique, str) else ""
    found = departure(query.response, corrected)
    return Reading(said, "", None) if found is None else Reading(said, found.quote, found.hint, found.rest, found.cut)


REPAIR = PromptStyle(
    name="repair",
    version="repair-1",
    task=_TASK,
    fields=("corrected", "critique"),
    required=("corrected",),
    show=_show,
    read=_read,
    corrects=True,
)
