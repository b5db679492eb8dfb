"""Where in a text is a quote? Exact first, then normalised, then fuzzy; never a number that is not there."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

from cal_grpo.alignment.normalize import Normalized, normalize
from cal_grpo.alignment.types import Method, Miss

_ELLIPSIS = re.compile(r"\s*(?:\.{3,}|…|\[\.{3}\])\s*")
_LEAD = re.compile(r"\s*(?:(?:step|line)\s*\d+\s*[:.)-]|\(?\d{1,2}[.):](?=\s)|[-*•▪–](?=\s)|>)\s*", re.IGNORECASE)
_FACTS = re.compile(r"\d+(?:\.\d+)?|[+*/=<>^%]|(?<=\d)-|-(?=\d)")
_MIN_FUZZY = 12  # characters: a shorter quote resembles too much


@dataclass(frozen=True, slots=True)
class CharSpan:
    """Half-open characters of the text, how they were found and how sure that is."""

    start: int
    end: int
    method: Method
    score: float


class Haystack:
    """A text that quotes are looked for in; its normal form is made once, when first needed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._normalized: Normalized | None = None

    @property
    def normalized(self) -> Normalized:
        if self._normalized is None:
            self._normalized = normalize(self.text)
        return self._normalized


def find_quote(
    haystack: Haystack, quote: str, hint: str | None, threshold: float, on_ambiguous: Literal["first", "miss"]
) -> CharSpan | Miss:
    """The place of a quote.

    Args:
        haystack: the text.
        quote: as the judge wrote it.
        hint: the text just before the quote, or the 0-based index of its line as digits.
        threshold: similarity in [0, 1] that a fuzzy match must reach.
        on_ambiguous: what a quote that occurs more than once and has no deciding hint gives.
    """
    quote = quote.strip()
    if not quote:
        return Miss("empty", "the quote is empty")
    if not any(c.isalnum() for c in quote):
        return Miss("junk", f"no letter or digit in {quote[:40]!r}")
    for places, method in _strict(haystack, quote):
        if places:
            chosen = _choose(haystack, places, hint, on_ambiguous)
            return chosen if isinstance(chosen, Miss) else CharSpan(*chosen, method, 1.0)
    return _fuzzy(haystack, quote, threshold)


def _strict(haystack: Haystack, quote: str) -> Iterator[tuple[list[tuple[int, int]], Method]]:
    yield _whole(_occurrences(haystack.text, quote), haystack.text, quote), "exact"
    for candidate in _variants(quote):
        needle = normalize(candidate).text.rstrip(".,;:!?")
        if any(c.isalnum() for c in needle):
            normal = haystack.normalized
            found = _whole(_occurrences(normal.text, needle), normal.text, needle)
            yield [(normal.origin[a], _end(haystack.text, normal, b)) for a, b in found], "normalized"
    parts = [part for part in _ELLIPSIS.split(quote) if any(c.isalnum() for c in part)]
    if len(parts) > 1:
        yield _in_order(haystack, parts), "normalized"


def _variants(quote: str) -> list[str]:
    """The quote, without surrounding quotation marks, and without bullets and step numbers at its start."""
    bare = quote.strip().strip("\"'“”‘’`«»").strip()
    lead = _LEAD.match(bare)
    return list(dict.fromkeys([bare, bare[lead.end() :] if lead else bare]))


def _occurrences(text: str, needle: str) -> list[tuple[int, int]]:
    found, start = [], text.find(needle)
    while start >= 0:
        found.append((start, start + len(needle)))
        start = text.find(needle, start + 1)
    return found


def _whole(found: list[tuple[int, int]], text: str, needle: str) -> list[tuple[int, int]]:
    """Occurrences that do not begin or end inside a number or a word, where there are such: "5" is not in "15"."""
    whole = [(a, b) for a, b in found if not _cuts(text, a) and not _cuts(text, b)]
    numbers_kept = [(a, b) for a, b in found if not _cuts(text, a, str.isdigit) and not _cuts(text, b, str.isdigit)]
    return whole or numbers_kept


def _cuts(text: str, at: int, kind: Callable[[str], bool] = str.isalnum) -> bool:
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    if kind(left) and kind(right) and left.isdigit() == right.isdigit():
        return True
    # a decimal point or a thousands separator belongs to its number
    after, before = text[at + 1 : at + 2], text[at - 2 : at - 1] if at > 1 else ""
    return (left.isdigit() and right in ".," and after.isdigit()) or (right.isdigit() and left in ".," and before.isdigit())


def _end(text: str, normal: Normalized, b: int) -> int:
    """Behind the original character of the last normal one; what normalisation dropped stays outside."""
    return normal.origin[b - 1] + 1


def _in_order(haystack: Haystack, parts: list[str]) -> list[tuple[int, int]]:
    """From the first part's start to the last part's end, each part after the one before it."""
    normal = haystack.normalized
    needles = [normalize(part).text.rstrip(".,;:!?") for part in parts]
    places = []
    for first in _occurrences(normal.text, needles[0]):
        position: int | None = first[1]
        for needle in needles[1:]:
            at = normal.text.find(needle, position)
            position = at + len(needle) if at >= 0 else None
            if position is None:
                break
        if position is not None:
            places.append((normal.origin[first[0]], _end(haystack.text, normal, position)))
    return places


def _choose(
    haystack: Haystack, places: list[tuple[int, int]], hint: str | None, on_ambiguous: Literal["first", "miss"]
) -> tuple[int, int] | Miss:
    if len(places) == 1:
        return places[0]
    if hint is not None and hint.strip().isdigit():
        line = int(hint)
        on_line = [place for place in places if haystack.text[: place[0]].count("\n") == line]
        if on_line:
            return on_line[0]
    elif hint is not None and hint == "":
        return places[0]
    elif hint is not None:
        needle = normalize(hint).text
        agreed = [_agreement(normalize(haystack.text[max(0, a - 2 * len(hint) - 8) : a]).text, needle) for a, _ in places]
        best = max(agreed)
        if best > 0 and agreed.count(best) == 1:
            return places[agreed.index(best)]
    return places[0] if on_ambiguous == "first" else Miss("ambiguous", f"the quote occurs {len(places)} times")


def _agreement(before: str, hint: str) -> int:
    """Characters that agree, read backwards from the quote."""
    agreed = 0
    for x, y in zip(reversed(before), reversed(hint), strict=False):
        if x != y:
            break
        agreed += 1
    return agreed


def _fuzzy(haystack: Haystack, quote: str, threshold: float) -> CharSpan | Miss:
    normal = haystack.normalized
    needle = normalize(_variants(quote)[-1]).text
    if len(needle) < _MIN_FUZZY or len(needle) > 2 * len(normal.text):
        return Miss("not_found", f"{quote[:60]!r} is not in the response")
    match = fuzz.partial_ratio_alignment(needle, normal.text, score_cutoff=100 * threshold)
    if match is None:
        return Miss("not_found", f"{quote[:60]!r} is not in the response")
    start, end = match.dest_start, match.dest_end
    while start > 0 and _cuts(normal.text, start):
        start -= 1
    while end < len(normal.text) and _cuts(normal.text, end):
        end += 1
    if _FACTS.findall(needle) != _FACTS.findall(normal.text[start:end]):
        return Miss("not_found", f"{quote[:60]!r} resembles a passage with other numbers or operators")
    return CharSpan(normal.origin[start], _end(haystack.text, normal, end), "fuzzy", match.score / 100)
