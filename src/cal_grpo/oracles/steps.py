"""A response cut into the steps that an oracle can blame."""

import re
from dataclasses import dataclass

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_LONG = 240  # characters: a longer line is cut into sentences


@dataclass(frozen=True, slots=True)
class Step:
    """Half-open characters ``[start, end)`` of the response, without surrounding white space."""

    text: str
    start: int
    end: int


def split_steps(response: str) -> list[Step]:
    """The lines of a response, long ones cut into sentences; each step's text is an exact substring."""
    steps: list[Step] = []
    position = 0
    for line in response.split("\n"):
        cuts = [0]
        if len(line) > _LONG:
            cuts += [match.end() for match in _SENTENCE_END.finditer(line)]
        for begin, end in zip(cuts, [*cuts[1:], len(line)], strict=True):
            text = line[begin:end]
            if text.strip():
                start = position + begin + len(text) - len(text.lstrip())
                steps.append(Step(text.strip(), start, start + len(text.strip())))
        position += len(line) + 1
    return steps


def hint_for(response: str, step: Step) -> str:
    """The text just before a step: what tells a repeated line from its twin."""
    return response[max(0, step.start - 80) : step.start]
