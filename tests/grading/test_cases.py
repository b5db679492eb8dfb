"""Answers in every form that people and models give them, a line each in ``cases.jsonl``: what is read, and what is refused."""

import json
from pathlib import Path

import pytest

from cal_grpo.grading import grade_answer, marked_answer, reference_answer

CASES = [json.loads(line) for line in Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case['kind']}: {case['response'][-40:]!r} for {case['reference']!r}"
)
def test_each_case_is_graded_as_a_person_would(case):
    assert grade_answer(case["response"], case["reference"]).correct == case["want"]


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("So $x = \\boxed{44}$.\n\nWe checked it, so our answer is correct.", "44"),
        ("5 + 3 = 8\n#### 8\nThis answer is in dollars.", "8"),
        ("<think>\\boxed{5}</think> \\boxed{7}", "7"),
        ("\\boxed{\\frac{3}{4}}, and the final answer is boxed above", "\\frac{3}{4}"),
        ("We add them. The answer is $(3, 4)$.", "(3, 4)"),
        ("<answer>Tuesday</answer>", "Tuesday"),
        ("The answer is correct.", None),
        ("2 + 2 = 4", None),
    ],
)
def test_what_a_solution_marks(solution, answer):
    assert marked_answer(solution) == answer


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("18", "18"),
        ("  \\frac{1}{2} ", "\\frac{1}{2}"),
        ("Tuesday", "Tuesday"),
        ("18 eggs a day", "18 eggs a day"),
        ("Washington, D.C.", "Washington, D.C."),
        (
            "E: A risk score that is computed from the age and the weight",
            "E: A risk score that is computed from the age and the weight",
        ),
        ("<answer>7</answer>", "7"),
        ("We add them.\n#### 7", "7"),
        ("The answer is 7.", "7"),
        ("", None),
        (" \n", None),
        ("NaN", None),
        ("#### nan", None),
        ("We add 0 and 1, giving 1 after 2 steps.", None),
        ("We add 0 and 1.\nThis gives 1 after 2 steps.", None),
        ("We checked it, so our answer is correct.", None),
        ("\\boxed{}", None),
    ],
)
def test_a_reference_is_an_answer_or_marks_one(reference, answer):
    assert reference_answer(reference) == answer
