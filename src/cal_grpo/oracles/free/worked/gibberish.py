"""Whether a response is about its question at all.

Where it is not, no step of it is the first that is wrong: word salad, an answer to something else, a model that rambles. Two
signs tell: an order that English does not have; and words that solutions to this question would not use, with numbers of which
nothing comes that the reference has.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from cal_grpo.oracles.free.worked.reading import bag
from cal_grpo.oracles.free.worked.reference_graph import ReferenceGraph
from cal_grpo.oracles.free.worked.response_graph import Quantity

# What solutions to any question say.
_ORDINARY = bag("""
total each price cost number amount need left remain difference add multiply divide subtract sum equal answer calculate let
first second third next final per half twice double day week hour minute year month money dollar cent percent more less fewer
times same how many much find get got solve equation step know given value rest all also only both still must after before
now out up into over than paid pay pays spent spend earn earns made make makes sold sell bought buy give gave take takes took
use used leave cost means meaning together combined altogether every hence needs costs days hours weeks added adding
additional sides terms represent expression substitute simplify original already current initial distance length increase
one two three four five people person question problem since start end time rate average solution combine
""")
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d(?:[\d.,]*\d)?|\n|[^\w\s]")
_ARTICLES = frozenset(["the", "a", "an", "his", "their", "its", "every"])
_PREPOSITIONS = frozenset(["of", "to", "in", "for", "with", "from", "at", "by", "on"])
_VERBS = frozenset(["is", "are", "was", "were", "be"])
_LINKS = frozenset(["and", "or", "but", "so", "then", "than", "he", "she", "they", "we", "it"])
# What never stands behind an article, a preposition, a form of "to be".
_MISFITS = (
    (_ARTICLES, _ARTICLES | _PREPOSITIONS | _VERBS | _LINKS | set("=+*/")),
    (_PREPOSITIONS, _VERBS | _LINKS | set(".;!?)=+*/") | {"of", "to"}),
    (_VERBS, _VERBS | {"of"}),
)
_OPENINGS = """
The An So Therefore Then He She They It If Since And But Thus Each Now In There This After
"""
_OPENERS = frozenset(_OPENINGS.split())
_FEW = 12  # words: fewer tell nothing
_KNOWN = 0.35  # share of the different words that are known, below which it is about something else, if its numbers are, too
_KNOWN_ASTRAY, _WORDS_ASTRAY = 0.65, 11  # the same, with so many unknown ones at least
_DISORDER, _MISPLACED = 0.25, 3  # share of the places looked at where a word does not fit, and how many at least


def is_gibberish(text: str, quantities: Iterable[Quantity], reference: ReferenceGraph) -> bool:
    """Whether a response has so little to do with its question that none of its steps can be called its first error."""
    tokens = _TOKEN.findall(text)
    if sum(token.isalpha() for token in tokens) < _FEW:
        return False
    if _is_disordered(tokens):
        return True
    words = bag(text)
    unknown = len(words - _ORDINARY - reference.told.words)
    few = unknown > (1 - _KNOWN) * len(words)
    astray = few or (unknown > (1 - _KNOWN_ASTRAY) * len(words) and unknown >= _WORDS_ASTRAY)
    return astray and not any(quantity.sound and quantity.new for quantity in quantities)


def _is_disordered(tokens: Sequence[str]) -> bool:
    """Whether words stand where English does not put them, as they do when shuffled, or are said twice."""
    places = misfits = 0
    for first, second in pairwise(tokens):
        for words, never in _MISFITS:
            if first.lower() in words:
                places, misfits = places + 1, misfits + (second.lower() in never)
        if first == second and len(first) > 1 and first.isalpha():
            places, misfits = places + 1, misfits + 1
        if second in _OPENERS:  # a sentence begins where none has ended
            places, misfits = places + 1, misfits + (first.isalpha() and first.islower())
        elif first in ".!?" and second.isalpha():
            places, misfits = places + 1, misfits + second.islower()
    return misfits >= _MISPLACED and misfits > _DISORDER * places
