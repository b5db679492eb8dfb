"""Is the final answer right?"""

from cal_grpo.grading.extract import extract_answer, parse_number
from cal_grpo.grading.grade import grade_answer
from cal_grpo.grading.types import Grade

__all__ = ["Grade", "extract_answer", "grade_answer", "parse_number"]
