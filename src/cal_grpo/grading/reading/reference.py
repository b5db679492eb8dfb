"""The answer that a reference gives."""

import re

from cal_grpo.grading.reading.extract import marked_answer, spoken
from cal_grpo.grading.reading.words import read_choice

_HOLDERS = ("####", "\\boxed", "\\fbox", "<answer>", "<final_answer>")
_PHRASE = re.compile(r"\banswers?\s*(?:is|are|:|=)", re.IGNORECASE)
_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
_BLOCK = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\$\$.+?\$\$|\\\[.+?\\\]", re.DOTALL)
_SENTENCE_WORDS, _PROSE_WORDS = 4, 8
_NOTHING = frozenset({"nan", "null", "<na>"})


def reference_answer(text: str) -> str | None:
    """The final answer of a reference: what its marker shows, or all of it when that is an answer; None when neither holds.

    Not answers are an empty text, ``NaN``, and prose without a marker: several lines, a sentence of four words or more, or
    eight words.
    """
    text = on_one_line(spoken(text).strip())
    if text.casefold() in _NOTHING:
        return None
    is_worked = "\n" in text or any(mark in text.lower() for mark in _HOLDERS)
    marked = marked_answer(text) if is_worked or _PHRASE.search(text) else None
    if marked is not None:
        return None if marked.casefold() in _NOTHING else marked
    return None if not text or is_worked or _is_prose(text) else text


def on_one_line(text: str) -> str:
    """The text with the lines of each matrix or display joined, so that those left tell something one after another."""
    return _BLOCK.sub(lambda match: " ".join(match[0].split()), text)


def _is_prose(text: str) -> bool:
    if (choice := read_choice(text)) and choice.text:
        return False
    words = len(_WORD.findall(text))
    return words >= _PROSE_WORDS or (words >= _SENTENCE_WORDS and text.endswith((".", "!", "?")))
