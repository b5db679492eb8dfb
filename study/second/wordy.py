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


def told(total: int, changes: Sequence[int], end: int, wordings: Iterator[int]) -> list[str]:
    """The changes as lines, then the answer."""
    lines = []
    for change in changes:
        texts = _GAINS if change > 0 else _LOSSES
        lines.append(texts[next(wordings)].format(a=total, b=abs(change), c=total + change))
        total += change
    return [*lines, f"#### {end}"]


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


def rest(story: Story, lines: Sequence[str], draw: random.Random) -> tuple[int, list[str]]:
    """(number of the first wrong line, the lines that should have stood from there on, in the answer's own wordings).

    A right line behind which nothing stands is wrong in that nothing does: the last line is named, and said again.
    """
    found = checked(story, lines)
    at = len(found.right)
    if at == len(lines):
        at -= 1
        line = found.right[-1]
        found = Checked(found.right[:-1], line.before, [line.change, *found.left])
    used = [line.wording for line in found.right]
    wordings = iter(lambda: draw.choice(used), None) if used else any_wording(draw)
    return at, told(found.total, found.left, story.end, wordings)
