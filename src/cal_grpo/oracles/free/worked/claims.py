"""What a response claims: an answer, or, when it was cut off, no more than it wrote out."""

import re
from collections.abc import Sequence

from cal_grpo.grading import marked_answer
from cal_grpo.oracles.free.worked.reading import Linear, chains, is_computed, tokenize
from cal_grpo.oracles.steps import Step

_BARE_ANSWER = re.compile(r"\W*(?:answer|a)?\W*-?[\d.,/%]+\W*$", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_LONGEST_ANSWER = 60  # characters of a step that says nothing else
_LONGEST_TAIL = 400  # characters at the end that may be unfinished
_OPEN_NOTE = re.compile(r"(?:<{1,2}[^<>\n]*>?|(?<=>>)[$ ]*[\d.,]*)$")  # an annotation, or the number behind it


def is_answer(text: str) -> bool:
    """Whether a step is a number and nothing else."""
    return len(text) <= _LONGEST_ANSWER and _BARE_ANSWER.match(text) is not None


def states_answer(response: str, steps: Sequence[Step], bare: bool) -> bool:
    """Whether a response says what its answer is, so that it is wrong however true its steps are.

    A number alone is an answer where the step before it has it, too; else it begins the next step, as it always does where
    the reference is ``bare``, equations without words.
    """
    if marked_answer(response) is not None:
        return True
    if bare or len(steps) < 2 or not is_answer(steps[-1].text):
        return False
    before, answer = (_numbers(step.text) for step in steps[-2:])
    return steps[-1].text.count("(") <= steps[-1].text.count(")") and bool(answer) and answer[-1] in before


def _numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in _NUMBER.findall(text)]


def written_out(response: str) -> str:
    """A response without the expression or number at its end that more text could still make right.

    ``12 * 5 = 6`` may be on its way to 60, and ``200 + 6`` to 200 + 60; ``12 * 5 = 7`` is wrong whatever follows.
    """
    if response[-1:] in ("", "\n"):
        return response
    kept = max(response.rfind("\n") + 1, len(response) - _LONGEST_TAIL)
    tail = response[kept:]
    tail = tail[: note.start()] if (note := _OPEN_NOTE.search(tail)) else tail
    return response[:kept] + tail[: _finished(tail)]


def _finished(text: str) -> int:
    """How many characters of a line nothing behind it can change."""
    tokens = tokenize(text)
    chain = next((chain for chain in reversed(list(chains(tokens))) if chain.end == len(tokens)), None)
    if chain is None:
        return len(text)
    number = tokens[-1]
    may_grow = number.kind == "number" and number.end == len(text)
    if len(chain.sides) == 1:
        return tokens[chain.start].start if may_grow or is_computed(chain.sides[0]) else len(text)
    before, value = chain.values[-2:]
    if before is None or value == before:
        return len(text)
    grows = may_grow and (isinstance(before, Linear) or f"{float(before):.10g}".startswith(number.text.replace(",", "")))
    if not grows and not is_computed(chain.sides[-1]):
        return len(text)
    return max(token.end for token in tokens if token.kind == "=")
