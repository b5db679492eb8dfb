"""Text that nobody vouches for, as ids: none of it becomes a special token."""

import itertools
import json
import re
from typing import Any


class PlainText:
    """Encodes text by a copy of a tokenizer that has no added tokens, so that one that holds ``<|im_end|>`` ends no turn.

    Args:
        tokenizer: a fast Hugging Face tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        added = tokenizer.added_tokens_decoder
        self._added = frozenset(map(int, added))
        spelt = sorted((token.content for token in added.values()), key=len, reverse=True)
        self._spelt = re.compile("|".join(map(re.escape, spelt)) or r"\Z\A")
        self._plain = Tokenizer.from_str(json.dumps(json.loads(tokenizer.backend_tokenizer.to_str()) | {"added_tokens": []}))

    def ids(self, text: str) -> list[int]:
        """The ids of a text, with nothing before or behind it."""
        ids = self._encoded(text)
        if self._added.isdisjoint(ids):
            return ids
        # The vocabulary holds such a token as a word of its own, too: it is taken apart behind its first character.
        cuts = [0, *(match.start() + 1 for match in self._spelt.finditer(text)), len(text)]
        return [i for left, right in itertools.pairwise(cuts) for i in self._encoded(text[left:right])]

    def _encoded(self, text: str) -> list[int]:
        return list(self._plain.encode(text, add_special_tokens=False).ids)
