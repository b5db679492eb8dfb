"""Where a response holds a quote, word for word, as spans of characters."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from cal_grpo.alignment.atoms import Atoms
from cal_grpo.alignment.decoded import Decoded
from cal_grpo.alignment.folding import fold
from cal_grpo.alignment.scanner import Atom

MIN_ATOMS = 4  # a shorter quote resembles too much
_NOTE = re.compile(r"<<[^<>\n]*>>")
_ELLIPSIS = re.compile(r"\[?\(?(?:\.{3,}|…)\)?\]?")


class CharSpan(NamedTuple):
    """Half-open characters of the decoded text."""

    start: int
    end: int


def verbatim(response: Decoded, quote: str) -> list[CharSpan]:
    """The occurrences of the quote as it is, none of which begins or ends inside a number or a special token.

    Where there is a choice, nor inside a word; a quote of one or two words is never part of a longer word.
    """
    text = response.text
    found: list[CharSpan] = []
    at = text.find(quote)
    while at >= 0:
        span = CharSpan(at, at + len(quote))
        if not any(_cuts_number(text, edge) or response.is_inside_special(edge) for edge in span):
            found.append(span)
        at = text.find(quote, at + 1)
    whole = [span for span in found if not any(_cuts_word(text, edge) for edge in span)]
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
    # Scripts beyond ASCII include those written without spaces.
    return 0 < at < len(text) and text[at - 1].isalpha() and text[at].isalpha() and text[at].isascii()


def same_atoms(response: Decoded, quote: str, atoms: Atoms) -> list[CharSpan]:
    """The occurrences of the quote's words, numbers and operators in a row, in whatever spelling.

    Annotations, labels and opening signs of the response are left out where the quote has none; labels and opening
    signs of the quote are left out where the response has none. Bullets are left out of both.
    """
    for view, wanted in _views(response.atoms, atoms):
        ends = [(i, i + len(wanted)) for i in view.find(wanted) if opens_alike(response.text, view, i, wanted, atoms)]
        if len(wanted) < MIN_ATOMS:
            stops = _stops(quote, wanted.items)
            ends = [(first, last) for first, last in ends if _stops(response.text, view.items[first:last]) == stops]
        if ends:
            return [widened(response.text, view, first, last, quote, wanted) for first, last in ends]
    return []


def _views(response: Atoms, quote: Atoms) -> Iterator[tuple[Atoms, Atoms]]:
    """The two without what only the response has, as they are, and without what only one of them has."""
    relaxed, wanted = without_extras(response, quote)
    yield relaxed, quote
    if relaxed is not response:
        yield response, quote
    if wanted is not quote:
        yield relaxed, wanted


def without_extras(response: Atoms, quote: Atoms) -> tuple[Atoms, Atoms]:
    """The two without labels, opening signs and annotations that only one has, but the quote with its annotations."""
    relaxed = response.without(frozenset(("label", "sign", "note")) - quote.extras | {"bullet"})
    return relaxed, quote.without(frozenset(("label", "sign")) - response.extras | {"bullet"})


def opens_alike(text: str, view: Atoms, first: int, wanted: Atoms, quote: Atoms) -> bool:
    """A quote whose label or opening sign was left out must open a line: "+ 3 = 8" is not the end of "5 - 3 = 8"."""
    if first == 0 or wanted.items[:1] == quote.items[:1] or quote.items[0].extra == "bullet":
        return True
    return "\n" in text[view.items[first - 1].end : view.items[first].start]


def _stops(text: str, items: Sequence[Atom]) -> list[str]:
    """The punctuation between the atoms of a short quote: "A: 5" is not "a 5"."""
    gaps = (_NOTE.sub("", text[left.end : right.start]) for left, right in pairwise(items))
    return ["".join(c for c in gap if c in ".,:;!?") for gap in gaps]


def elided(response: Decoded, quote: str) -> list[CharSpan]:
    """The occurrences of a quote with ``…`` for words in the middle: all its parts, in order, the next one each time."""
    parts = [(part, atoms) for part in _ELLIPSIS.split(quote) if len(atoms := Atoms.scan(part))]
    if len(parts) < 2 or max(len(atoms) for _, atoms in parts) < 2:
        return []
    first, *rest = (same_atoms(response, part, atoms) for part, atoms in parts)
    found: list[CharSpan] = []
    for opening in first:
        end = opening.end
        for places in rest:
            at = bisect_left(places, (end, end))
            if at == len(places):
                return found
            end = places[at].end
        found.append(CharSpan(opening.start, end))
    return found


def widened(text: str, view: Atoms, first: int, last: int, quote: str, wanted: Atoms) -> CharSpan:
    """The characters of ``view.items[first:last]``, with the punctuation around them that the quote has too."""
    start, end = view.items[first].start, view.items[last - 1].end
    before = view.items[first - 1].end if first > 0 else 0
    after = view.items[last].start if last < len(view) else len(text)
    left = text[before:start].split("\n")[-1]
    right = text[end:after].split("\n")[0]
    return CharSpan(
        start - _shared(left[::-1], quote[: wanted.items[0].start][::-1]),
        end + _shared(right, quote[wanted.items[-1].end :]),
    )


def _shared(there: str, here: str) -> int:
    """How far into ``there`` the visible characters of ``here`` reach, in order and in whatever spelling."""
    if not there or not here:
        return 0
    folded, origin = fold(there)
    reach = 0
    for c in fold(here)[0]:
        if not c.isspace() and (at := folded.find(c, reach)) >= 0:
            reach = at + 1
    return origin[reach - 1] + 1 if reach else 0
