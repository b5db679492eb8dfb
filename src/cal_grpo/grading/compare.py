"""Do two final answers state the same?"""

import functools
import re
import time
from collections.abc import Sequence

from cal_grpo.grading.reading import (
    Choice,
    Items,
    as_interval,
    as_words,
    formula_and_unit,
    plain,
    read_based,
    read_choice,
    read_quantity,
    same_time,
    take_apart,
    tidy,
)
from cal_grpo.grading.types import Method
from cal_grpo.grading.worker import math_equal

MAX_MATH = 300  # characters of an expression that is read as mathematics
TIME_LIMIT_S = 10.0  # of a list of expressions; those that are left then are compared as text
MAX_ANSWER = 2000  # characters of an answer that are looked at

_MATH_SIGN = re.compile(r"[\d\\^=+\-*/()<>]")
_EXPLOSIVE = re.compile(r"\*\*|\^[^\s+\-*/=,]*\^|\^\{?\d{4}|\d{3}\s*!|!.*!")
_NAME = re.compile(
    r"((?:m?\\angle\s*|\\triangle\s*)?\\?[A-Za-z]+(?:\s[A-Za-z]+){0,5}(?:_\{?\w{1,3}\}?)?'?(?:\([a-z](?:,\s?[a-z])*\))?)"
    r"\s*(?:=|\\(?:in|approx)(?![A-Za-z]))\s*(?=\S)"
)
_ROUNDED = re.compile(r"(?<=[\d})])\s*\\approx(?![A-Za-z])[^=]*$")  # \\sqrt{2} \\approx 1.41 states the first
_SINGLE = re.compile(r"[^=<>]*")
_GROUP = re.compile(r"\A\{((?:[^{},]|\{[^{}]*\})*)\}\Z")  # {7} is 7 in TeX, and a set of one only beside a set
_OR = re.compile(r"\bor\b")
_PLUS, _MINUS_PLUS = re.compile(r"\\pm(?![A-Za-z])"), re.compile(r"\\mp(?![A-Za-z])")


def compare(answer: str, expected: str, by_math: bool = True) -> tuple[bool, Method]:
    """Whether an answer states what is expected, and how that was found out; without ``by_math`` expressions are text."""
    if max(len(answer), len(expected)) > MAX_ANSWER:
        return answer == expected, "text"
    answer, expected = (_ROUNDED.sub("", plain(tidy(text))) for text in (answer, expected))
    return _compare(answer, expected, time.monotonic() + TIME_LIMIT_S if by_math else 0.0)


def _compare(answer: str, expected: str, until: float) -> tuple[bool, Method]:
    number, target = read_quantity(answer), read_quantity(expected)
    if number is not None and target is not None:
        return number.equals(target) or as_words(answer) == as_words(expected), "number"
    if as_words(answer) == as_words(expected) or same_time(answer, expected):
        return True, "text"
    ungrouped = _GROUP.sub(r"\1", answer), _GROUP.sub(r"\1", expected)
    if (
        (ungrouped[0] != answer) != (ungrouped[1] != expected)
        and not expected.startswith("\\{")
        and not answer.startswith("\\{")
    ):
        return _compare(*ungrouped, until)
    based, target_base = read_based(answer), read_based(expected)
    if target_base is not None:  # where the question gives the base, the digits are the answer
        return based == target_base or (based is None and answer == target_base.digits), "text"
    if based is not None:
        return based.base == 10 and _compare(based.digits, expected, until)[0], "text"
    choice, target_choice = read_choice(answer), read_choice(expected)
    if (choice or target_choice) and (same := _same_choice(answer, choice, expected, target_choice)) is not None:
        return same, "text"
    named, bare = _name_dropped(answer, expected)
    if (named, bare) != (answer, expected):
        return _compare(named, bare, until)
    ours, theirs = _items(answer), _items(expected)
    if ours is not None and ours.is_interval:
        theirs = as_interval(expected) or theirs
    elif theirs is not None and theirs.is_interval:
        ours = as_interval(answer) or ours
    if (
        (ours is None) != (theirs is None)
        and (several := ours or theirs)
        and several.kind == ""
        and _OR.search(answer + expected)
    ):
        other = expected if ours is several else answer  # 3/4 or 0.75 is one value in two spellings
        return all(_compare(item, other, until)[0] for item in several.items), "math"
    if ours is not None or theirs is not None:
        return _same_items(ours, theirs, until), "math"
    measured, bare_formula = _unit_dropped(answer, expected)
    if (measured, bare_formula) != (answer, expected):
        return _compare(measured, bare_formula, until)
    if time.monotonic() > until or not _could_be_math(answer, expected):
        return False, "text"
    return _math_equal(answer, expected), "math"


@functools.lru_cache(maxsize=4096)  # the samples of a question repeat each other
def _math_equal(answer: str, expected: str) -> bool:
    return math_equal(answer, expected)


def _same_choice(answer: str, choice: Choice | None, expected: str, target: Choice | None) -> bool | None:
    """Letters count, and so do the texts beside them where both have one; None where it takes more than letters."""
    if choice and target:
        if choice.text and target.text:
            return choice.letter == target.letter and _compare(choice.text, target.text, until=0.0)[0]
        return choice.letter == target.letter
    text = choice.text if choice else target.text if target else ""
    other = expected if choice else answer
    return _compare(text, other, until=0.0)[0] or None if text else None


def _name_dropped(answer: str, expected: str) -> tuple[str, str]:
    """Both without ``x =`` where only one has it, or both have the same."""
    ours, theirs = _NAME.match(answer), _NAME.match(expected)
    if ours and not _SINGLE.fullmatch(answer[ours.end() :]):
        ours = None
    if theirs and not _SINGLE.fullmatch(expected[theirs.end() :]):
        theirs = None
    if ours and theirs:
        return (answer[ours.end() :], expected[theirs.end() :]) if ours[1] == theirs[1] else (answer, expected)
    if ours and _SINGLE.fullmatch(expected):
        return answer[ours.end() :], expected
    if theirs and _SINGLE.fullmatch(answer):
        return answer, expected[theirs.end() :]
    return answer, expected


def _unit_dropped(answer: str, expected: str) -> tuple[str, str]:
    """Both without the unit behind a formula, ``12\\pi cm``, where only one has it, or both have the same."""
    (ours, our_unit), (theirs, their_unit) = formula_and_unit(answer), formula_and_unit(expected)
    if our_unit and their_unit and our_unit != their_unit:
        return answer, expected
    return ours, theirs


def _items(text: str) -> Items | None:
    found = take_apart(text)
    if found is None and _PLUS.search(text):
        return Items("", tuple(_MINUS_PLUS.sub(minus, _PLUS.sub(plus, text)) for plus, minus in ("+-", "-+")))
    return found


def _same_items(ours: Items | None, theirs: Items | None, until: float) -> bool:
    if ours is None or theirs is None or len(ours.items) != len(theirs.items):
        return False
    if ours.kind != theirs.kind and "" not in (ours.kind, theirs.kind):
        return False
    if {ours.kind, theirs.kind} & {"cup", "matrix", "determinant"} and ours.kind != theirs.kind:
        return False
    if ours.is_ordered or theirs.is_ordered or _is_named(ours) != _is_named(theirs):
        return all(_compare(a, b, until)[0] for a, b in zip(ours.items, theirs.items, strict=True))
    return _same_in_any_order(ours.items, theirs.items, until)


def _is_named(items: Items) -> bool:
    """Whether each has a name of its own, ``x=1, y=2``, which puts bare values beside it in an order."""
    names = {match[1] for item in items.items if (match := _NAME.match(item))}
    return len(names) == len(items.items) > 1


def _same_in_any_order(ours: Sequence[str], theirs: Sequence[str], until: float) -> bool:
    left = list(theirs)
    for item in ours:
        match = next((other for other in left if _compare(item, other, until)[0]), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _could_be_math(*texts: str) -> bool:
    """Words alone never equal a formula; towers of powers and factorials are how sympy is made to compute for ever."""
    return all(len(text) <= MAX_MATH and not _EXPLOSIVE.search(text) for text in texts) and any(map(_MATH_SIGN.search, texts))
