"""The final answer that a data file gives: read out of a worked solution, or the text itself when that is an answer.

What is no answer is refused: no response could ever be right against it.
"""

import re

from cal_grpo.grading import marked_answer, on_one_line, spoken
from cal_grpo.tasks.split import key_of

_MARKERS = ("####", "\\boxed", "\\fbox")  # an answer with one of these is a worked solution
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_MISSING = {"nan", "null", "<na>", "n/a", "#n/a"}  # how tables spell that there is nothing
_PUNCTUATION = "\0 \t\n.,;:!?…_*`\"'$#-–—"

_CHOICE = re.compile(r"\(?[A-Z][).:]\s")
_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")  # not the name of a LaTeX command
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")  # written without spaces: two signs count as a word
_VERB = re.compile(r"\b(?:is|are|was|were|has|have|had|gives?|makes?|equals?|costs?|gets?|needs?|takes?)\b", re.IGNORECASE)
_SENTENCE_END = (".", "!", "?", "。", "！", "？")


def final_answer(text: str, worked: bool = False) -> str:
    """The final answer of a gold text.

    A text that marks its answer with ``#### x``, ``\\boxed{x}`` or ``<answer>x</answer>`` is a worked solution. Any other
    text is the answer itself, unless it is prose; then a phrase such as "the answer is 5" may mark it.

    Args:
        text: what the data file gives.
        worked: it must mark its answer.

    Raises:
        ValueError: it gives none; the message says why.
    """
    text = spoken(text).strip()
    if tagged := _TAGGED.findall(text):
        text, worked_out = tagged[-1].strip(), True
    else:
        worked_out = any(mark in text for mark in _MARKERS)
    if any(mark in text for mark in _MARKERS):
        final = marked_answer(text)
    elif worked and not worked_out:
        final = None
    else:
        told = is_prose(text) or "\n" in on_one_line(text)
        phrase = marked_answer(text) if "answer" in text.casefold() or told else None
        final = phrase if phrase is not None or told else text
    if final is None and (worked or worked_out):
        raise ValueError("marks no answer; expected a solution with \\boxed{...} or #### x")
    if final is None:
        what = "is prose that marks" if is_prose(text) else "has several lines that mark"
        raise ValueError(
            f"{what} no answer ({ascii(text)[:60]}); expected the final answer alone, or a solution with "
            "\\boxed{...} or #### x"
        )
    if final.casefold() in _MISSING or not key_of(final).strip(_PUNCTUATION):
        raise ValueError(f"is {ascii(final)[:60]}, which is no answer; expected one")
    return final


def is_prose(text: str) -> bool:
    """Whether a text tells something instead of giving an answer: eight words, or four in several lines or a sentence, or a
    number with a verb. A choice, ``(B) words``, is an answer."""
    if _CHOICE.match(text) and "\n" not in text:
        return False
    words = len(_WORD.findall(_CJK.sub("", text))) + len(_CJK.findall(text)) // 2
    told = words >= 4 and ("\n" in text or text.endswith(_SENTENCE_END))
    return words >= 8 or told or (_VERB.search(text) is not None and any(map(str.isdigit, text)))
