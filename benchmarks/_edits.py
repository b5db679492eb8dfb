"""Text changed in known places, so that what survived of it is known too."""

from collections.abc import Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """``text[start:end]`` becomes ``new``. ``survives``: the same thing in another spelling, rather than another thing."""

    start: int
    end: int
    new: str
    survives: bool


def respelled(start: int, end: int, new: str) -> Edit:
    return Edit(start, end, new, survives=True)


def inserted(at: int, new: str) -> Edit:
    return Edit(at, at, new, survives=False)


def replaced(start: int, end: int, new: str) -> Edit:
    return Edit(start, end, new, survives=False)


def apply(text: str, edits: Sequence[Edit]) -> tuple[str, list[int]]:
    """The edited text, and for each of its characters the index in ``text`` that it stands for, -1 for none.

    Of edits that overlap, the first stays.
    """
    parts: list[str] = []
    origin: list[int] = []
    done = 0
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        if edit.start < done:
            continue
        parts += [text[done : edit.start], edit.new]
        origin += [*range(done, edit.start), *([edit.start if edit.survives else -1] * len(edit.new))]
        done = edit.end
    return "".join([*parts, text[done:]]), [*origin, *range(done, len(text))]


def survivors(text: str, edits: Sequence[Edit]) -> tuple[int, int] | None:
    """From the first to the last visible character of ``text`` that is in the edited text too, half-open."""
    _, origin = apply(text, edits)
    kept = {i for i in origin if i >= 0 and not text[i].isspace()}
    # A respelling stands for all of its characters, of which ``origin`` names the first.
    kept |= {i for e in edits if e.survives and e.start in kept for i in range(e.start, e.end) if not text[i].isspace()}
    return (min(kept), max(kept) + 1) if kept else None
