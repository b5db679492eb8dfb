"""Is the final answer right?

Plain numbers are compared exactly, which settles nearly every rollout in microseconds; formulas go to a process of their
own (`worker`), and all else is compared as text.
"""

import functools

from cal_grpo.grading.compare import compare
from cal_grpo.grading.reading import extract_answer, reference_answer
from cal_grpo.grading.types import Grade


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


@functools.lru_cache(maxsize=1024)  # the samples of a question have one
def _expected(text: str) -> str:
    return reference_answer(text) or extract_answer(text) or text.strip()
