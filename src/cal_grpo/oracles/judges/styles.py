"""The ways to ask an LLM, by name, with or without a correction."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.corrections import step_start
from cal_grpo.oracles.departure import departure
from cal_grpo.oracles.judges.few_shot import FewShot
from cal_grpo.oracles.judges.numbered import STEPS
from cal_grpo.oracles.judges.prompt import DIRECT, NOTHING, PromptStyle, Reading
from cal_grpo.oracles.judges.repair import REPAIR
from cal_grpo.oracles.types import Query

_TASK = """

Behind these, add one more field, the last:
  "correction": the rest of the response as it should have been: from the beginning of the step with the mistake on, \
corrected, to the right final answer. Keep the student's own form, words and layout, one line for each line of the response as \
far as that goes, and do not copy the reference solution where the student goes another way. Nothing of what stands before \
that step. "" if you find no mistake, or cannot tell."""

_FIELD = re.compile(r'(?<=["\d\]}l])\s*,\s*"correction"\s*:')
STYLES = {style.name: style for style in (DIRECT, REPAIR, STEPS)}


def style_of(name: str, corrections: bool = False) -> PromptStyle:
    """The prompt style of a name.

    Args:
        name: of the style.
        corrections: ask for the correction, too. ``repair`` has it in any case; its answers are kept apart all the same, as
            earlier ones were kept without.

    Raises:
        UsageError: there is none.
    """
    if name not in STYLES:
        raise UsageError(f"prompt style is {name!r}; expected one of {', '.join(STYLES)}")
    style = STYLES[name]
    if not corrections:
        return style
    version = f"{style.version}+correction-1"
    return replace(style, version=version) if style is REPAIR else _asking(style, version)


def without_correction(text: str) -> str:
    """What an answer says before its correction; "" where it has none."""
    *_, last = [None, *_FIELD.finditer(text)]
    return "" if last is None else f"{text[: last.start()]}}}"


def _asking(style: PromptStyle, version: str) -> PromptStyle:
    def show(shot: FewShot) -> dict[str, Any]:
        rest = _rest(shot)
        return style.show(shot) | ({"correction": rest} if rest else {})

    def read(answer: Mapping[str, Any], query: Query) -> Reading:
        said = style.read(answer, query)
        text = answer.get("correction")
        if not said.segment or not isinstance(text, str) or text.strip(" .").lower() in NOTHING:
            return said
        return said._replace(correction=_without_repeat(text.strip(), said, query.response))

    return replace(
        style,
        version=version,
        task=style.task + _TASK,
        fields=(*style.fields, "correction"),
        show=show,
        read=read,
        corrects=True,
    )


def _rest(shot: FewShot) -> str:
    """An example's correction from its first wrong step on; "" where it has none for the step that it blames."""
    leaves = departure(shot.incorrect_solution, shot.corrected_solution)
    blamed = step_start(shot.incorrect_solution, shot.error_segment, shot.hint)
    return leaves.rest if leaves is not None and leaves.cut == blamed else ""


def _without_repeat(text: str, said: Reading, response: str) -> str:
    """The correction without the response's right beginning, which many a judge says once more, in lines of its own."""
    before = response[: step_start(response, said.segment, said.hint) or 0].split()
    repeat = re.match(r"\s+".join(map(re.escape, before)) + r"\s", text) if before else None
    return text[repeat.end() :].strip() if repeat else text
