"""A response cut into the steps that an oracle can blame."""

import re
from dataclasses import dataclass

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_SAYS = re.compile(r"[^\W\d_]{2,}|=")


@dataclass(frozen=True, slots=True)
class Step:
    """Half-open characters ``[start, end)`` of the response, without surrounding white space."""

    text: str
    start: int
    end: int


def split_steps(response: str) -> list[Step]:
    """The sentences of each line of a response; each step's text is an exact substring."""
    steps: list[Step] = []
    position = 0
    for line in response.split("\n"):
        cuts, looked_at = [0], 0
        for match in _SENTENCE_END.finditer(line):
            if says_something(line[looked_at : match.start()]):
                cuts.append(match.end())
            looked_at = match.end()
        for begin, end in zip(cuts, [*cuts[1:], len(line)], strict=True):
            text = line[begin:end]
            if text.strip():
                start = position + begin + len(text) - len(text.lstrip())
                steps.append(Step(text.strip(), start, start + len(text.strip())))
        position += len(line) + 1
    return steps


def says_something(text: str) -> bool:
    """Whether a text has a word or an equation; a label, such as "2.", or an answer alone, such as "#### 2", has neither."""
    return _SAYS.search(text) is not None


def hint_for(response: str, step: Step) -> str:
    """The text just before a step: what tells a repeated line from its twin."""
    return response[max(0, step.start - 80) : step.start]
