"""Is the final answer right?

Plain numbers are compared exactly, which settles nearly every rollout in microseconds; what is left goes to
math-verify, with limits of our own: its time-outs use signals and work on the main thread only, and grading does not
run there.
"""

from cal_grpo.grading.extract import extract_answer, parse_number
from cal_grpo.grading.types import Grade
from cal_grpo.grading.worker import math_equal

MAX_MATH = 300  # characters of an answer that math-verify is shown


def grade_answer(response_text: str, reference_answer: str) -> Grade:
    """Grade a response against the reference answer.

    Args:
        response_text: the model's whole response; untrusted.
        reference_answer: the final answer, or a worked solution that ends in one (``#### 18``, ``\\boxed{18}``).

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
    # When one side is a number and the other has no digit and no formula, no mathematics can make them equal.
    if max(len(extracted), len(expected)) > MAX_MATH or not _could_be_math(extracted):
        return Grade(False, extracted, expected, "text")
    return Grade(math_equal(extracted, expected), extracted, expected, "math")


def _expected(reference: str) -> str:
    if "####" in reference or "\\boxed" in reference:
        return extract_answer(reference) or reference.strip()
    return reference.strip()


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("$", "").split()).rstrip(".")


def _could_be_math(text: str) -> bool:
    return any(c.isdigit() or c in "\\^=+*/()" for c in text) and "**" not in text and text.count("^") <= 3
