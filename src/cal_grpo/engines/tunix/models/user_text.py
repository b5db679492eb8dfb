"""A user's turn out of text that nobody vouches for: whatever it spells, none of it becomes a special token."""

import itertools
import json
import re
from typing import Any

from cal_grpo.engines.reading import prompt_ids, render
from cal_grpo.errors import UsageError

_STAND_IN = "What is 17 plus 25"


class UserText:
    """Writes a text into the user's turn of a chat template, and encodes the two apart.

    The template is read as ever. The text is read by a copy of the tokenizer that has no added tokens, so that one that holds
    ``<|im_end|>`` ends no turn. A tokenizer without a template gets the text behind its BOS token.

    Args:
        tokenizer: a fast one.
        opening: how the answer is begun for the model.

    Raises:
        UsageError: the template does not work, or does not write the user's text once.
    """

    def __init__(self, tokenizer: Any, opening: str = "") -> None:
        from tokenizers import Tokenizer

        self._before, self._after = "", opening
        bos = tokenizer.bos_token_id
        self._ids_before = [] if bos is None else [int(bos)]
        if getattr(tokenizer, "chat_template", None):
            around = render(_STAND_IN, tokenizer).split(_STAND_IN)
            if len(around) != 2:
                raise UsageError(
                    f"{tokenizer.name_or_path}: its chat template writes the user's text {len(around) - 1} times; expected once"
                )
            self._before, self._after = around[0], around[1] + opening
            self._ids_before = prompt_ids(self._before, tokenizer)
        self._ids_after = prompt_ids(self._after, tokenizer)
        added = tokenizer.added_tokens_decoder
        self._added = frozenset(map(int, added))
        spelt = sorted((token.content for token in added.values()), key=len, reverse=True)
        self._spelt = re.compile("|".join(map(re.escape, spelt)) or r"\Z\A")
        self._plain = Tokenizer.from_str(json.dumps(json.loads(tokenizer.backend_tokenizer.to_str()) | {"added_tokens": []}))

    def render(self, text: str) -> str:
        """The whole prompt."""
        return f"{self._before}{text}{self._after}"

    def encode(self, prompt: str) -> list[int]:
        """The ids of what ``render`` gave."""
        text = prompt[len(self._before) : len(prompt) - len(self._after)]
        return [*self._ids_before, *self._text_ids(text), *self._ids_after]

    def _text_ids(self, text: str) -> list[int]:
        ids = self._plain_ids(text)
        if self._added.isdisjoint(ids):
            return ids
        # The vocabulary holds such a token as a word of its own, too: it is taken apart behind its first character.
        cuts = [0, *(match.start() + 1 for match in self._spelt.finditer(text)), len(text)]
        return [i for left, right in itertools.pairwise(cuts) for i in self._plain_ids(text[left:right])]

    def _plain_ids(self, text: str) -> list[int]:
        return list(self._plain.encode(text, add_special_tokens=False).ids)
