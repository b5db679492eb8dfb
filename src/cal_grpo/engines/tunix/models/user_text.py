"""A user's turn out of text that nobody vouches for: whatever it spells, none of it becomes a special token."""

from typing import Any

from cal_grpo.engines.reading import PlainText, prompt_ids, render
from cal_grpo.errors import UsageError

_STAND_IN = "What is 17 plus 25"


class UserText:
    """Writes a text into the user's turn of a chat template, and encodes the two apart.

    The template is read as ever, the text as ``PlainText`` reads it. A tokenizer without a template gets the text behind its
    BOS token.

    Args:
        tokenizer: a fast one.
        opening: how the answer is begun for the model.

    Raises:
        UsageError: the template does not work, or does not write the user's text once.
    """

    def __init__(self, tokenizer: Any, opening: str = "") -> None:
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
        self._plain = PlainText(tokenizer)

    def render(self, text: str) -> str:
        """The whole prompt."""
        return f"{self._before}{text}{self._after}"

    def encode(self, prompt: str) -> list[int]:
        """The ids of what ``render`` gave."""
        text = prompt[len(self._before) : len(prompt) - len(self._after)]
        return [*self._ids_before, *self._plain.ids(text), *self._ids_after]
