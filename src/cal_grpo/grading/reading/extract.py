"""Reading the final answer out of a response."""

import re
from collections import deque
from collections.abc import Iterator

from cal_grpo.grading.reading.clause import clause, first_block, is_remark, is_value
from cal_grpo.grading.reading.dress import tidy, without_markup
from cal_grpo.grading.reading.ending import last_value
from cal_grpo.grading.reading.numbers import parse_number as parse_number

MAX_RESPONSE = 200_000  # characters that are read, from the end: the answer stands there
MAX_BOXED = 2000  # characters that braces or tags may hold
MAX_MARKERS = 200  # that are looked at, from the last

_THOUGHTS = "think|thinking|thought|thoughts|reasoning|scratchpad"
_THOUGHT = re.compile(rf"<({_THOUGHTS})>(?:(?!<\1>).)*?</\1>", re.DOTALL | re.IGNORECASE)
_THOUGHT_ENDS = re.compile(rf"</(?:{_THOUGHTS})>", re.IGNORECASE)
_THOUGHT_STARTS = re.compile(rf"<(?:{_THOUGHTS})>", re.IGNORECASE)

# Markers that hold a value. What #### and <answer> hold is looked at without being consumed, so that a \boxed in it is found.
_HOLDERS = re.compile(
    r"####[ \t]*(?=(?P<hashes>[^\n]{1,400}))"
    r"|\\(?:boxed|fbox|framebox)[ \t]*\{(?P<boxed>)"
    r"|\\boxed(?:[ \t]+|(?=\d))(?=(?P<bare>[^\s{$][^\n$]{0,399}))"  # TeX needs no braces around one sign
    r"|<(?:final_)?answer>(?=(?P<tag>))",
    re.IGNORECASE,
)
_TAG_ENDS = re.compile(r"</(?:final_)?answer>", re.IGNORECASE)
_PHRASES = re.compile(
    r"\b(?:answers?|(?:correct|right|best)[ \t]+(?:option|choice))"
    r"(?:[ \t]+(?:choice|option)|[ \t]+to[ \t][^.\n:=]{1,80}?)?[ \t*_]*"
    r"(?:(?P<is>(?:is|are|equals|(?:would|should|will|must)[ \t]+be)\b)(?:[ \t*_]*[:=])?|[:=→]|[-–—](?=[ \t]))[ \t*_:}]*"
    r"|^[ \t*]*A[ \t]*:[ \t*]*(?P<letter>(?=[^\n]))"
    r"|^[ \t#*_]*(?:the[ \t]+)?(?:final[ \t]+)?answer[ \t*_:]*(?P<heading>(?=\n))",
    re.IGNORECASE | re.MULTILINE,
)
_CHOSEN = re.compile(  # "option D is correct", "(D) is the answer"
    r"(?:\b[Oo]ption\s+|\b[Cc]hoice\s+)(?P<named>\(?[A-H]\)?)\s+is\s+(?:correct|right)\b"
    r"|(?<![\w(])(?P<choice>\([A-H]\)|[A-H])\s+is\s+(?:therefore\s+)?the\s+(?:(?:correct|right|best|final)\s+)?(?:answer|option|choice)\b"
)
_HEADING = re.compile(r"[*_]*[A-Za-z]{2}")
_NEXT_CHOICE = re.compile(r"[^\n]*\n\s*[*(]*B\s*[:.)]")  # "A: 12", then "B: 13": the choices of the question
_BETWEEN_BOXES = re.compile(r"\}[\s$.]*(?:,|and|or|,\s*and|,\s*or)[\s$]*")
_BRACE = re.compile(r"\\[{}]|[{}]")

_NOTHING = " .*$\t\n"


def extract_answer(response: str) -> str | None:
    """The final answer as written: what the last marker shows, else the last number or formula, else None.

    Thoughts, ``<think>...</think>``, are not read. Markers that hold a value, ``\\boxed{x}``, ``#### x`` and
    ``<answer>x</answer>``, outrank phrases: ``the answer is x``, ``answer: x``, a heading ``Final answer`` above it, a line
    ``A: x``. These end with their clause, and one followed by a remark ("the answer is correct") is none. Words behind
    ``####`` count only in the last line: before that they are a Markdown heading.
    """
    text = spoken(response)
    marked = _marked(text)
    return marked if marked is not None else last_value(text)


def marked_answer(response: str) -> str | None:
    """What the marker that counts shows, as written; None without one."""
    return _marked(spoken(response))


def spoken(response: str) -> str:
    """The part of a response that is meant to be read: no thoughts, no HTML, no special tokens."""
    return without_markup(_without_thoughts(response[-MAX_RESPONSE:])).rstrip()


def _without_thoughts(text: str) -> str:
    if "<" not in text:
        return text
    text = _THOUGHT.sub("\n", text)
    ends = list(_THOUGHT_ENDS.finditer(text))  # chat templates open the thoughts in the prompt
    text = text[ends[-1].end() :] if ends else text
    return text[: start.start()] if (start := _THOUGHT_STARTS.search(text)) else text  # cut off while thinking


def _marked(text: str) -> str | None:
    found = _last_holder(text) or _last_phrase(text)
    return tidy(found) if found else None


def _last_holder(text: str) -> str | None:
    boxes: list[str] = []  # joined by a comma or a word, the last first: \\boxed{3} and \\boxed{4}
    begins = len(text)
    for match in _last_of(_HOLDERS, text):
        if match["boxed"] is not None:
            held, end = _braced(text, match.end())
            if boxes and not _BETWEEN_BOXES.fullmatch(text, end, begins):
                break
            if held.strip(_NOTHING):
                boxes.append(_last_phrase(held) or held)
                begins = match.start()
            continue
        if boxes:
            break
        held = match["bare"] or (_tagged(text, match.end()) if match["tag"] is not None else _hashed(text, match))
        if held.strip(_NOTHING):
            return held
    return ", ".join(reversed(boxes)) or None


def _last_of(markers: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    return reversed(deque(markers.finditer(text), MAX_MARKERS))


def _braced(text: str, start: int) -> tuple[str, int]:
    """The text up to the brace that closes the one before ``start``, and where that is; "" when nothing closes it."""
    depth = 1
    for brace in _BRACE.finditer(text, start, start + MAX_BOXED):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return text[start : brace.start()], brace.start()
    return "", start


def _tagged(text: str, start: int) -> str:
    """What stands in the tag, or the answer that it marks by a phrase, as a sentence does."""
    end = _TAG_ENDS.search(text, start, start + MAX_BOXED)
    inside = text[start : end.start() if end else start + MAX_BOXED].strip()
    if phrase := _last_phrase(inside):
        return phrase
    lines = [line for line in inside.split("\n") if line.strip()]
    if len(lines) > 1 and "\\begin" not in inside and is_value(lines[-1]) and not _closes(lines[-1]):
        return lines[-1]
    return inside if not is_remark(inside) else last_value(inside) or inside


def _closes(line: str) -> bool:
    return line.strip() in ("$$", "\\]", "\\)", "```", "}")


def _hashed(text: str, match: re.Match[str]) -> str:
    line = re.sub(r"(?<=[\s\d.])#+\Z", "", match["hashes"].rstrip("! ")).rstrip()
    if _HEADING.match(line) and match.end("hashes") < len(text):
        return ""
    if phrase := _last_phrase(line):
        return phrase
    line = clause(line)
    return line if not is_remark(line) else last_value(line) or line


def _last_phrase(text: str) -> str | None:
    """What the last phrase states; one with words behind "is" counts only where no other states anything."""
    worded = None
    for match in _last_of(_PHRASES, text):
        if match["letter"] is not None and _NEXT_CHOICE.match(text, match.end()):
            continue
        stated = clause(first_block(text, match.end()))
        if not stated.strip(_NOTHING) or is_remark(stated):
            continue
        if is_value(stated) or not match["is"]:
            return stated
        worded = worded or stated
    chosen = None if worded else next(_last_of(_CHOSEN, text), None)
    return chosen["named"] or chosen["choice"] if chosen else worded
