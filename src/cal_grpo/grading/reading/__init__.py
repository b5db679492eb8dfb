"""What does a text give as its answer?"""

from cal_grpo.grading.reading.dress import tidy
from cal_grpo.grading.reading.extract import extract_answer, marked_answer, spoken
from cal_grpo.grading.reading.lists import Items, as_interval, take_apart
from cal_grpo.grading.reading.numbers import parse_number, read_quantity
from cal_grpo.grading.reading.reference import on_one_line, reference_answer
from cal_grpo.grading.reading.spelling import plain
from cal_grpo.grading.reading.units import formula_and_unit
from cal_grpo.grading.reading.words import Choice, as_words, read_based, read_choice, same_time

__all__ = [
    "Choice",
    "Items",
    "as_interval",
    "as_words",
    "extract_answer",
    "formula_and_unit",
    "marked_answer",
    "on_one_line",
    "parse_number",
    "plain",
    "read_based",
    "read_choice",
    "read_quantity",
    "reference_answer",
    "same_time",
    "spoken",
    "take_apart",
    "tidy",
]
