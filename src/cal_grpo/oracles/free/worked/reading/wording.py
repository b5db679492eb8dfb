"""How alike two steps are worded: the cosine of their words, the rare ones counting most."""

import math
import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]{2,}")
_STEM = 5  # letters: "walked" and "walks" are one
_FILLERS = """
an the of to in for and or is are was were be been has have had will would can could so then thus therefore this that these
those there it its he she they them his her their we you if as at by on with from since because let say which who when
"""
_FILLER_WORDS = frozenset(_FILLERS.split())
Bag = frozenset[str]


def bag(text: str) -> Bag:
    """The stems of a text's words."""
    return frozenset(word[:_STEM] for word in _WORD.findall(text.lower()) if word not in _FILLER_WORDS)


class Wording:
    """Weighs words by how few of some texts have them."""

    def __init__(self, bags: Iterable[Bag]) -> None:
        bags = list(bags)
        counts = Counter(word for words in bags for word in words)
        self._n = len(bags)
        self._weights = {word: self._weight(count) for word, count in counts.items()}
        self._unseen = self._weight(0)
        self._sizes: dict[Bag, float] = {}

    def _weight(self, count: int) -> float:
        return math.log(1 + (self._n + 1) / (count + 0.5)) ** 2

    def likeness(self, a: Bag, b: Bag) -> float:
        """0 to 1; two texts without words are alike."""
        if not a or not b:
            return float(a == b)
        return self._total(a & b) / math.sqrt(self._size(a) * self._size(b))

    def _size(self, words: Bag) -> float:
        if words not in self._sizes:
            self._sizes[words] = self._total(words)
        return self._sizes[words]

    def _total(self, words: Bag) -> float:
        # exact, because a set has another order in every process
        return math.fsum(self._weights.get(word, self._unseen) for word in words)
