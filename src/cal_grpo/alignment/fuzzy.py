"""A quote with words changed, dropped or added, but with its numbers and operators in place."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from rapidfuzz.distance import Indel, LCSseq

from cal_grpo.alignment.atoms import STRICT_WORDS, Atoms
from cal_grpo.alignment.decoded import Decoded
from cal_grpo.alignment.find import MIN_ATOMS, CharSpan, opens_alike, widened, without_extras
from cal_grpo.alignment.scanner import Atom

_MAX_WORK = 8  # atoms compared for each atom of the response; more if the quote's numbers repeat without end
_COMMON = 0.4  # share of a quote's words that a stretch without numbers must have to be looked at
_STRAY = 2  # atoms more between an outermost match and the rest than the quote has there: a coincidence


class Resemblance(NamedTuple):
    """A passage like the quote: what it says, in one spelling, and the similarity of their characters in [0, 1]."""

    span: CharSpan
    says: str
    score: float


def resembling(response: Decoded, quote: str, atoms: Atoms, threshold: float) -> list[Resemblance] | None:
    """Passages that differ from the quote in words only, best first, none overlapping a better one.

    Their numbers and operators are the quote's, in its order; no number word or comparison is replaced. None if these
    numbers are in so many places that comparing them would not be linear in the response.
    """
    view, wanted = without_extras(response.atoms, atoms)
    if len(wanted) < MIN_ATOMS:
        return []
    zones = list(_zones(view.items, wanted.items))
    if sum(high - low for low, high in zones) > _MAX_WORK * len(view):
        return None
    found: list[Resemblance] = []
    for low, high in zones:
        pairs = _aligned(wanted.items, view.items, low, high)
        if not pairs or not _faithful(wanted.items, view.items, pairs):
            continue
        first, last = pairs[0][1], pairs[-1][1] + 1
        theirs = " ".join(a.text for a in view.items[first:last])
        score = Indel.normalized_similarity(" ".join(a.text for a in wanted.items), theirs)
        if score >= threshold and opens_alike(response.text, view, first, wanted, atoms):
            ours, kept = _cut(quote, wanted, pairs[0][0], pairs[-1][0] + 1)
            found.append(Resemblance(widened(response.text, view, first, last, ours, kept), theirs, score))
    return _apart(found)


def _apart(found: list[Resemblance]) -> list[Resemblance]:
    taken: list[CharSpan] = []
    best: list[Resemblance] = []
    for one in sorted(found, key=lambda r: (-r.score, r.span)):
        at = bisect_left(taken, one.span)
        if (at == 0 or taken[at - 1].end <= one.span.start) and (at == len(taken) or one.span.end <= taken[at].start):
            taken.insert(at, one.span)
            best.append(one)
    return best


def _cut(quote: str, wanted: Atoms, first: int, last: int) -> tuple[str, Atoms]:
    """The quote from its first to its last matched atom; punctuation beyond an unmatched one stands for nothing."""
    low = 0 if first == 0 else wanted.items[first].start
    high = len(quote) if last == len(wanted) else wanted.items[last - 1].end
    kept = [a._replace(start=a.start - low, end=a.end - low) for a in wanted.items[first:last]]
    return quote[low:high], Atoms(kept)


def _zones(theirs: Sequence[Atom], ours: Sequence[Atom]) -> Iterator[tuple[int, int]]:
    """Half-open stretches of the response that hold exactly the quote's numbers and operators, with words around."""
    strict = [i for i, a in enumerate(theirs) if a.is_strict]
    wanted = [i for i, a in enumerate(ours) if a.is_strict]
    bounds = [-1, *strict, len(theirs)]
    if not wanted:
        for low, high in pairwise(bounds):
            if high - low - 1 >= len(ours) // 2:
                yield from _windows(theirs, ours, low + 1, high)
        return
    left, right = _slack(wanted[0]), _slack(len(ours) - 1 - wanted[-1])
    facts = Atoms([theirs[i] for i in strict])
    for k in facts.find(Atoms([ours[i] for i in wanted])):
        last = k + len(wanted) - 1
        yield max(bounds[k] + 1, strict[k] - left), min(bounds[last + 2], strict[last] + 1 + right)


def _slack(words: int) -> int:
    return words + words // 4 + 2


def _windows(theirs: Sequence[Atom], ours: Sequence[Atom], low: int, high: int) -> Iterator[tuple[int, int]]:
    """Overlapping stretches longer than the quote by half, so that each passage like it is within one, and alone."""
    needle = [a.text for a in ours]
    for at in range(low, max(low + 1, high - len(ours) // 2), (len(ours) + 2) // 3):
        end = min(at + len(ours) + len(ours) // 2 + 2, high)
        if LCSseq.similarity(needle, [a.text for a in theirs[at:end]], score_cutoff=ceil(_COMMON * len(ours))):
            yield at, end


def _aligned(ours: Sequence[Atom], theirs: Sequence[Atom], low: int, high: int) -> list[tuple[int, int]]:
    """Pairs of equal atoms, increasing in both, close together and without coincidences at the ends."""
    blocks = LCSseq.editops([a.text for a in ours], [a.text for a in theirs[low:high]]).as_matching_blocks()
    pairs = [(block.a + i, low + block.b + i) for block in blocks for i in range(block.size)]
    if not pairs:
        return []
    # Of equally long alignments the one around the longest block: "the" is the next one, not one of the line before.
    longest = max(blocks, key=lambda block: block.size)
    anchor = pairs.index((longest.a, low + longest.b))
    for n in range(anchor - 1, -1, -1):
        i, j = pairs[n]
        pairs[n] = i, next(k for k in range(pairs[n + 1][1] - 1, j - 1, -1) if theirs[k].text == ours[i].text)
    for n in range(anchor + 1, len(pairs)):
        i, j = pairs[n]
        pairs[n] = i, next(k for k in range(pairs[n - 1][1] + 1, j + 1) if theirs[k].text == ours[i].text)
    first, last = 0, len(pairs)
    while last - first > 1 and _is_stray(pairs[first], pairs[first + 1], ours[pairs[first][0]]):
        first += 1
    while last - first > 1 and _is_stray(pairs[last - 2], pairs[last - 1], ours[pairs[last - 1][0]]):
        last -= 1
    return pairs[first:last]


def _is_stray(left: tuple[int, int], right: tuple[int, int], outermost: Atom) -> bool:
    return not outermost.is_strict and abs((right[1] - left[1]) - (right[0] - left[0])) > _STRAY


def _faithful(ours: Sequence[Atom], theirs: Sequence[Atom], pairs: list[tuple[int, int]]) -> bool:
    """Whether what lies between the pairs changes no quantity: words dropped, added or replaced, but none that counts."""
    edges = [(-1, pairs[0][1] - 1), *pairs, (len(ours), pairs[-1][1] + 1)]
    for (i, j), (k, m) in pairwise(edges):
        added, dropped = ours[i + 1 : k], theirs[j + 1 : m]
        if any(a.is_strict for a in (*added, *dropped)):
            return False
        if added and any(a.text in STRICT_WORDS for a in (*added, *dropped)):
            return False
    return True
