"""Is the final answer right?

Plain numbers are compared exactly, which settles nearly every rollout in microseconds; what is left goes to
math-verify, with limits of our own: its time-outs use signals and work on the main thread only, and grading does not
run there.
"""

import re

from cal_grpo.grading.extract import extract_answer, parse_number
from cal_grpo.grading.types import Grade
from cal_grpo.grading.worker import math_equal

MAX_MATH = 300  # characters of an answer that math-verify is shown

_MATH_SIGN = re.compile(r"[\d\\^=+*/()]")
_EXPLOSIVE = re.compile(r"\*\*|\^[^\s+\-*/=,]*\^|\^\{?\d{4}|\d\s*!")
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
    number, target = parse_number(extracted), parse_number(expected)
    if number is not None and target is not None:
        return Grade(number == target, extracted, expected, "number")
    if _plain(extracted) == _plain(expected):
        return Grade(True, extracted, expected, "text")
    if max(len(extracted), len(expected)) > MAX_MATH or not _could_be_math(extracted):
        return Grade(False, extracted, expected, "text")
    return Grade(math_equal(extracted, expected), extracted, expected, "math")


def _expected(reference: str) -> str:
    reference = reference.strip()
    if "\n" in reference or "####" in reference or "\\boxed" in reference:
        return extract_answer(reference) or reference
    return reference


def _plain(text: str) -> str:
    return " ".join(_WORDS_IN_LATEX.sub(r"\1", text).casefold().replace("$", "").split()).rstrip(".")


def _could_be_math(text: str) -> bool:
    """Words alone never equal a formula; towers of powers and factorials are how sympy is made to compute for ever."""
    return bool(_MATH_SIGN.search(text)) and not _EXPLOSIVE.search(text)
