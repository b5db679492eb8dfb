"""Is the final answer right?

Plain numbers are compared exactly, which settles nearly every rollout in microseconds; what is left goes to
math-verify, with limits of our own: its time-outs use signals and work on the main thread only, and grading does not
run there.
"""

import functools
import re

from cal_grpo.grading.extract import extract_answer, parse_number
from cal_grpo.grading.types import Grade, Method
from cal_grpo.grading.worker import math_equal

MAX_MATH = 300  # characters of an answer that math-verify is shown

_MATH_SIGN = re.compile(r"[\d\\^=+*/()]")
_EXPLOSIVE = re.compile(r"\*\*|\^[^\s+\-*/=,]*\^|\^\{?\d{4}|\d{3}\s*!|!.*!")
_CHOICE = re.compile(r"\(([a-z])\)")
_WORDS_IN_LATEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")


def grade_answer(response_text: str, reference_answer: str) -> Grade:
    """Grade a response against the reference answer.

    Args:
        response_text: the model's whole response; untrusted.
        reference_answer: the final answer, or a worked solution of several lines or with a marker (``#### 18``).

    Returns:
        A ``Grade``; ``extracted`` is None when the response states no answer. Never raises on any text.
    """
    expected = _expected(reference_answer)
    extracted = extract_answer(response_text)
    if extracted is None:
        return Grade(False, None, expected, "none")
    correct, method = compare(extracted, expected)
    return Grade(correct, extracted, expected, method)


def compare(answer: str, expected: str, by_math: bool = True) -> tuple[bool, Method]:
    """Whether two final answers are equal, and how that was found out; without ``by_math`` expressions are text."""
    number, target = parse_number(answer), parse_number(expected)
    if number is not None and target is not None:
        return number == target, "number"
    if _plain(answer) == _plain(expected):
        return True, "text"
    if not by_math or max(len(answer), len(expected)) > MAX_MATH or not _could_be_math(answer):
        return False, "text"
    return _math_equal(answer, expected), "math"


@functools.lru_cache(maxsize=4096)  # the samples of a question repeat each other
def _math_equal(answer: str, expected: str) -> bool:
    return math_equal(answer, expected)


def _expected(reference: str) -> str:
    reference = reference.strip()
    if "\n" in reference or "####" in reference or "\\boxed" in reference:
        return extract_answer(reference) or reference
    return reference


def _plain(text: str) -> str:
    text = " ".join(_WORDS_IN_LATEX.sub(r"\1", text).casefold().replace("$", "").split()).rstrip(".")
    choice = _CHOICE.fullmatch(text)
    return choice[1] if choice else text


def _could_be_math(text: str) -> bool:
    """Words alone never equal a formula; towers of powers and factorials are how sympy is made to compute for ever."""
    return bool(_MATH_SIGN.search(text)) and not _EXPLOSIVE.search(text)
