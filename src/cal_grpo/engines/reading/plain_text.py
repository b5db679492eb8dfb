"""Text that nobody vouches for, as ids: none of it becomes a special token."""

import itertools
import json
import re
from typing import Any

_WHITE = re.compile(r"[\s▁]+")  # ▁ is SentencePiece's space
_ANCHOR = "\n"


class PlainText:
    """Encodes text by a copy of a tokenizer that has no added tokens, so that one that holds ``<|im_end|>`` ends no turn.

    Added tokens that are white space stay, as Gemma's line breaks: they are text.

    Args:
        tokenizer: a fast Hugging Face tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        written = json.loads(tokenizer.backend_tokenizer.to_str())
        added = [token for token in written["added_tokens"] if token["special"] or not _WHITE.fullmatch(token["content"])]
        self._added = frozenset(token["id"] for token in added)
        spelt = sorted((token["content"] for token in added), key=len, reverse=True)
        self._spelt = re.compile("|".join(map(re.escape, spelt)) or r"(?!)")
        written["added_tokens"] = [token for token in written["added_tokens"] if token not in added]
        self._plain = Tokenizer.from_str(json.dumps(written))

    def ids(self, text: str) -> list[int]:
        """The ids of a text, with nothing before or behind it."""
        ids = self._encoded(text)
        if self._added.isdisjoint(ids):
            return ids
        # The vocabulary holds such a token as a word of its own, too: it is taken apart behind its first character.
        cuts = [0, *(match.start() + 1 for match in self._spelt.finditer(text)), len(text)]
        return [i for left, right in itertools.pairwise(cuts) for i in self._encoded(text[left:right])]

    def continuing(self, text: str) -> list[int] | None:
        """The ids of a text that goes on behind others; None where it spells an added token, which is not what they mean.

        It is encoded behind a line break: at the beginning SentencePiece would put a space in front.
        """
        if self._spelt.search(text):
            return None
        anchor, ids = self._encoded(_ANCHOR), self._encoded(_ANCHOR + text)
        return ids[len(anchor) :] if ids[: len(anchor)] == anchor else self._encoded(text)

    def _encoded(self, text: str) -> list[int]:
        return list(self._plain.encode(text, add_special_tokens=False).ids)
