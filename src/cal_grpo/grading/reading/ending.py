"""What a text ends with that marks no answer: its last number, or the formula around it, whole."""

import re
from collections import deque
from collections.abc import Iterator

from cal_grpo.grading.reading.dress import tidy

MAX_TAIL = 5000  # characters in which a formula is looked for
_MAX_ALONE = 80  # characters of a text that is an answer and nothing else

_NUMBER = re.compile(r"(?<![\w.])[-−]?[$€£¥₹]?\s?(?:\d{1,9} \d+/\d+|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?%?)")
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<![\\\w])\$(?!\s)([^$\n]+?)(?<![\s\\])\$(?!\d)", re.DOTALL)
_BETWEEN = re.compile(r"\s*(?:,|,?\s(?:and|or)\s)\s*")
_EQUALS = re.compile(r"=|\\approx(?![A-Za-z])|≈")
_SIGNS = "π√∛∞≤≥≠±²³¹⁰⁴-⁹ⁿ₀-₉½⅓⅔¼¾⅕-⅞"  # that make another thing of a number
# Signs of a formula that stands in prose without dollar signs. Words, and "a" and "I", are none.
_RUN = re.compile(
    rf"(?:\\(?!f?box)[A-Za-z]+|\\[{{}}|,;!]|(?<![A-Za-z\\'’])(?![aAI]\s)[A-Za-z](?![A-Za-z'’])|\d++(?:[.,:]\d++)*+"
    rf"|[{_SIGNS}≈×·⋅÷+\-−–*/=^_<>|!(){{}}\[\]]|,(?=\s?(?:[\d\\(\-−]|[A-Za-z](?:[)\]}},^_+*/]|\s?=)))|[ \t])++"
)
_IN_FORMULA = re.compile(rf"[A-Za-z\\^_{_SIGNS}]|[(\[{{][^()\[\]{{}}]*,|\d\s?[-−–:]\s?\d")
_ALONE = re.compile(r"[(\[]?[A-Z][)\].]?|(?i:yes|no|true|false)")
_SEVERAL = re.compile(r"(?<![\w\\)])[A-Za-z](?:_\w+)?\s*=[^=,]+,\s*[A-Za-z](?:_\w+)?\s*=[^=]*\Z")
_JOINED = re.compile(r"\d[-−–:]\d")


def last_value(text: str) -> str | None:
    """The last number, or the formula around it, of an equation the right side.

    A text without any number may be an answer and nothing else: a choice, "yes", a formula.
    """
    if not any(map(str.isdigit, text)):
        bare = tidy(text[:_MAX_ALONE])
        is_answer = _ALONE.fullmatch(bare) or (_RUN.fullmatch(bare) and re.search("[A-Za-z]", bare))
        return bare if len(text) <= _MAX_ALONE and is_answer else None
    number = _last(_NUMBER.finditer(text))
    formulas = [m for m in _FORMULA.finditer(text, max(0, len(text) - MAX_TAIL)) if any(map(str.isdigit, m.group()))]
    if formulas and (number is None or number.end() <= formulas[-1].end()):
        return _last_formulas(text, formulas)
    return None if number is None else _around(text, number)


def _last_formulas(text: str, formulas: list[re.Match[str]]) -> str | None:
    """The last formula, or the last few that a comma or a word joins."""
    joined = [formulas.pop()]
    while formulas and _BETWEEN.fullmatch(text, formulas[-1].end(), joined[-1].start()):
        joined.append(formulas.pop())
    inside = [next(group for group in formula.groups() if group is not None) for formula in reversed(joined)]
    return tidy(_right_side(tidy(inside[0]))) or None if len(inside) == 1 else ", ".join(map(tidy, inside))


def _right_side(formula: str) -> str:
    """Of an equation the right side; several with commas between, ``x = 3, y = 4``, are one answer."""
    return formula if _SEVERAL.search(formula) else _EQUALS.split(formula)[-1]


def _around(text: str, number: re.Match[str]) -> str:
    """The number, unless it is a part of a formula or of something like 3:30; then all of that."""
    start = text.rfind("\n", 0, number.start()) + 1
    digit = number.end() - 1
    run = next(
        (m for m in _RUN.finditer(text, max(start, digit - MAX_TAIL), digit + MAX_TAIL) if m.start() <= digit < m.end()), None
    )
    if run is None:
        return number.group().strip()
    formula = _right_side(run.group()).strip(" \t,+*/=<>|") or run.group()
    balanced = all(formula.count(a) == formula.count(b) for a, b in ("()", "[]", "{}")) or re.fullmatch(
        r"[(\[].*,.*[)\]]", formula
    )
    whole = _IN_FORMULA.search(formula) if re.search(rf"[A-Za-z\\^_(\[{{{_SIGNS}]", formula) else _JOINED.search(formula)
    return tidy(formula) if balanced and whole else number.group().strip()


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    return next(iter(deque(matches, 1)), None)
