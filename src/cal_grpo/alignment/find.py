"""Where a text holds a quote, from strictest to loosest, as spans of characters."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cal_grpo.alignment.atoms import Atoms
from cal_grpo.alignment.decoded import Decoded
from cal_grpo.alignment.folding import fold

_ELLIPSIS = re.compile(r"\[?\(?(?:\.{3,}|…)\)?\]?")


class CharSpan(NamedTuple):
    """Half-open characters of the decoded text."""

    start: int
    end: int


def verbatim(text: str, quote: str) -> list[CharSpan]:
    """The occurrences of the quote as it is, none of which begins or ends inside a number.

    Where there is a choice, nor inside a word; a quote of one or two words is never part of a longer word.
    """
    found: list[CharSpan] = []
    at = text.find(quote)
    while at >= 0:
        span = CharSpan(at, at + len(quote))
        if not _cuts_number(text, span.start) and not _cuts_number(text, span.end):
            found.append(span)
        at = text.find(quote, at + 1)
    whole = [s for s in found if not _cuts_word(text, s.start) and not _cuts_word(text, s.end)]
    return whole or (found if len(quote.split()) > 2 else [])


def _cuts_number(text: str, at: int) -> bool:
    """Whether position ``at`` lies inside a number such as 1,234.5."""
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    return (
        (left.isdigit() and right.isdigit())
        or (left.isdigit() and right in ".," and text[at + 1 : at + 2].isdigit())
        or (left in ".," and right.isdigit() and at > 1 and text[at - 2].isdigit())
    )


def _cuts_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and text[at - 1].isalpha() and text[at].isalpha() and text[at].isascii()


def same_atoms(response: Decoded, quote: str, atoms: Atoms) -> list[CharSpan]:
    """The occurrences of the quote's words, numbers and operators in a row, in whatever spelling.

    Annotations and step labels of the response are left out where the quote has none; labels of the quote are left
    out where the response has none.
    """
    for view, wanted in views(response.atoms, atoms):
        spans = [widened(response.text, view, first, first + len(wanted), quote, wanted) for first in view.find(wanted)]
        if spans:
            return spans
    return []


def views(response: Atoms, quote: Atoms) -> Iterator[tuple[Atoms, Atoms]]:
    """The two as they are, then without what only one of them has."""
    yield response, quote
    relaxed = response.without(labels=not quote.has_labels, notes=not quote.has_notes)
    wanted = quote.without(labels=not response.has_labels, notes=False)
    if relaxed is not response or wanted is not quote:
        yield relaxed, wanted


def elided(response: Decoded, quote: str) -> list[CharSpan]:
    """The occurrences of a quote with ``…`` for words in the middle: all its parts, in order, closest together."""
    parts = [(part, atoms) for part in _ELLIPSIS.split(quote) if len(atoms := Atoms.scan(part))]
    if len(parts) < 2 or max(len(atoms) for _, atoms in parts) < 2:
        return []
    places = [same_atoms(response, part, atoms) for part, atoms in parts]
    found: dict[int, CharSpan] = {}  # by end, so that of two beginnings the later one stays
    for first in places[0]:
        end: int | None = first.end
        for following in places[1:]:
            end = next((span.end for span in following if span.start >= (end or 0)), None)
            if end is None:
                break
        if end is not None:
            found[end] = CharSpan(first.start, end)
    return list(found.values())


def widened(text: str, view: Atoms, first: int, last: int, quote: str, wanted: Atoms) -> CharSpan:
    """The characters of ``view.items[first:last]``, with the punctuation around them that the quote has too."""
    start, end = view.items[first].start, view.items[last - 1].end
    after = view.items[last].start if last < len(view) else len(text)
    before = view.items[first - 1].end if first > 0 else 0
    right = text[end:after].split("\n")[0]
    left = text[before:start].split("\n")[-1]
    end += _shared(fold(right)[0], fold(quote[wanted.items[-1].end :])[0]) if right else 0
    start -= _shared(fold(left[::-1])[0], fold(quote[: wanted.items[0].start][::-1])[0]) if left else 0
    return CharSpan(max(start, before), min(end, after))


def _shared(there: str, here: str) -> int:
    """How far into ``there`` the visible characters of ``here`` reach, in order."""
    reach = 0
    for c in here:
        if not c.isspace() and (at := there.find(c, reach)) >= 0:
            reach = at + 1
    return reach
