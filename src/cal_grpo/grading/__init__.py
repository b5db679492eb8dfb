"""Is the final answer right?"""

from cal_grpo.grading.grade import grade_answer
from cal_grpo.grading.pass_at_k import pass_at_k, powers_up_to
from cal_grpo.grading.reading import extract_answer, marked_answer, on_one_line, parse_number, reference_answer, spoken
from cal_grpo.grading.types import Grade
from cal_grpo.grading.vote import Majority, majority

__all__ = [
    "Grade",
    "Majority",
    "extract_answer",
    "grade_answer",
    "majority",
    "marked_answer",
    "on_one_line",
    "parse_number",
    "pass_at_k",
    "powers_up_to",
    "reference_answer",
    "spoken",
]
