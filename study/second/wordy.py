"""The world of many forms: each step of a solution in one of many wordings, the steps in one of two orders."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cal_grpo.tasks import Example

_GAINS = (
    "{a}+{b}={c}",
    "So now {a}+{b}={c}.",
    "Then there are {a}+{b}={c}.",
    "{b} more make {a}+{b}={c}.",
    "Adding {b} gives {a}+{b}={c}.",
    "First {a}, and now {a}+{b}={c}.",
)
_LOSSES = (
    "{a}-{b}={c}",
    "So now {a}-{b}={c}.",
    "Then there are {a}-{b}={c}.",
    "{b} less make {a}-{b}={c}.",
    "Taking {b} leaves {a}-{b}={c}.",
    "First {a}, and now {a}-{b}={c}.",
)
_HIGHEST = 199  # total in a story, and so in any order


def _reader(wording: str) -> re.Pattern[str]:
    pattern = re.escape(wording)
    for name in "abc":
        pattern = pattern.replace(rf"\{{{name}\}}", rf"(?P<{name}>\d+)", 1).replace(rf"\{{{name}\}}", rf"(?P={name})")
    return re.compile(pattern)


_READERS = [(sign, i, _reader(text)) for sign, texts in ((1, _GAINS), (-1, _LOSSES)) for i, text in enumerate(texts)]


@dataclass(frozen=True)
class Story:
    """What happens in a story: the number at its start, and its changes in the order in which they are told."""

    start: int
    changes: tuple[int, ...]

    @property
    def end(self) -> int:
        """The answer."""
        return self.start + sum(self.changes)


@dataclass(frozen=True)
class Line:
    """A line as it was read: ``before``, changed by ``change``, is said to make ``after``; in the wording of that number."""

    before: int
    change: int
    after: int
    wording: int


def story_of(solution: str) -> Story:
    """The story that a `ledger` solution solves: equations such as ``12+5=17``, and ``#### answer``."""
    found = re.findall(r"^(\d+)([+-]\d+)=", solution, re.MULTILINE)
    return Story(int(found[0][0]), tuple(int(change) for _, change in found))


def read(line: str) -> Line | None:
    """What a line says; None for one in no wording of ours."""
    for sign, number, reader in _READERS:
        if found := reader.fullmatch(line):
            return Line(int(found["a"]), sign * int(found["b"]), int(found["c"]), number)
    return None


def said(line: Line) -> str:
    """A line in its wording."""
    texts = _GAINS if line.change > 0 else _LOSSES
    return texts[line.wording].format(a=line.before, b=abs(line.change), c=line.after)


def told(total: int, changes: Sequence[int], end: int, wordings: Iterator[int]) -> list[str]:
    """The changes as lines, then the answer."""
    lines = []
    for change in changes:
        lines.append(said(Line(total, change, total + change, next(wordings))))
        total += change
    return [*lines, f"#### {end}"]


def slipped(rest: Sequence[str], draw: random.Random) -> list[str]:
    """The lines with one wrong result, which in half of the cases is carried on to the final answer."""
    at, by, carried = draw.randrange(len(rest)), draw.choice((-10, -1, 1, 10)), draw.random() < 0.5
    lines = list(rest)
    for i in range(at, len(lines)):
        line = read(lines[i])
        if line is None:  # the final answer
            lines[i] = f"#### {int(lines[i].split()[-1]) + by}" if carried or i == at else lines[i]
        elif i == at or carried:
            before = line.before if i == at else line.before + by
            lines[i] = said(Line(before, line.change, line.after + by, line.wording))
    return lines


def wordy(example: Example) -> str:
    """One of an example's many solutions, always the same."""
    draw, story = random.Random(f"wordy/{example.question}"), story_of(example.reference)
    order = draw.choice(_orders(story))
    return "\n".join(told(story.start, order, story.end, any_wording(draw)))


def any_wording(draw: random.Random) -> Iterator[int]:
    """Wordings for ever."""
    while True:
        yield draw.randrange(len(_GAINS))


def _orders(story: Story) -> list[tuple[int, ...]]:
    """As told, and from the last on where that stays within the numbers of stories."""
    turned = story.changes[::-1]
    return [story.changes, *([turned] if all(0 <= total <= _HIGHEST for total in _totals(story.start, turned)) else [])]


def _totals(total: int, changes: Sequence[int]) -> list[int]:
    totals = []
    for change in changes:
        totals.append(total := total + change)
    return totals


@dataclass(frozen=True)
class Checked:
    """How far an answer is right.

    Attributes:
        right: its lines before the first wrong one; all, where there is none.
        total: after these.
        left: changes that they do not tell, in the story's order.
    """

    right: list[Line]
    total: int
    left: list[int]


def checked(story: Story, lines: Sequence[str]) -> Checked:
    """Follow an answer, in whatever order and wording: each line takes up the total and tells a change not yet told."""
    right: list[Line] = []
    total, left = story.start, list(story.changes)
    for text in lines:
        line = read(text)
        if line is None or line.before != total or line.change not in left or line.after != total + line.change:
            break
        right.append(line)
        left.remove(line.change)
        total = line.after
    return Checked(right, total, left)


def first_wrong(story: Story, lines: Sequence[str]) -> int:
    """The number of the first wrong line. Where all are right, it is the last one, behind which something should stand."""
    return min(len(checked(story, lines).right), len(lines) - 1)


def rest(story: Story, lines: Sequence[str], at: int, draw: random.Random) -> list[str]:
    """The lines that should stand from a line on, in the wordings of the right ones before it; a line that is right stays.

    Behind the first wrong line they are those of somebody who takes the wrong lines between for what should stand there.
    """
    found, stays = checked(story, lines[:at]), checked(story, lines[: at + 1]).right[at:]
    for line in stays:
        found.left.remove(line.change)
    left = [*(line.change for line in stays), *found.left]
    passed = left[: at - len(found.right)]
    used = [line.wording for line in found.right]
    wordings = iter(lambda: draw.choice(used), None) if used else any_wording(draw)
    return told(found.total + sum(passed), left[len(passed) :], story.end, wordings)
