import os
import random
from pathlib import Path

import pytest
from _answers import changes, math_answers
from grading_edits import against_labels, graded_right, gsm8k_answers
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cal_grpo.grading import grade_answer

DATA = os.environ.get("CAL_GRPO_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="CAL_GRPO_DATA names no folder with GSM8K and its model solutions")
ANSWERS = math_answers(260, seed=3)


def test_no_change_of_a_sign_digit_or_letter_is_graded_right():
    report = graded_right(ANSWERS[:130])  # one of each kind
    assert report["changes"] > 2000
    assert report["graded_right"] == report["answers_graded_wrong"] == []


@given(st.sampled_from(ANSWERS), st.randoms(use_true_random=False), st.data())
@settings(max_examples=200, deadline=None)
def test_one_change_of_any_answer_is_graded_wrong(answer, rng, data):
    others = sorted(set(changes(answer, rng)))
    assume(others)  # \\emptyset has neither sign nor digit, and no letter that stands alone
    changed = data.draw(st.sampled_from(others))
    assert grade_answer(f"\\boxed{{{answer}}}", answer).correct
    assert not grade_answer(f"\\boxed{{{changed}}}", answer).correct


def test_a_change_is_another_text_of_one_sign_more_or_less():
    found = set(changes("-12x", random.Random(0)))
    assert {"+12x", "12x", "-2x", "-1x"} <= found
    assert "-12x" not in found


@pytest.mark.parametrize(
    "dress",
    [
        "17 steps.\n\\boxed{%s}\nso our answer is correct.",
        "<think>the answer is 5 or \\boxed{6}</think>\n<answer>%s</answer>",
        "<answer>\n$%s$\n</answer>",
        "**Final Answer**\n\n$$%s$$",
        "Final answer:\n\\[\n%s\n\\]",
        "### Final Answer\n\\(%s\\)",
        "The final answer is $%s$. I hope it is correct.",
        "so the answer is $%s$, which is what we wanted.",
        "**Answer:** $%s$\n\nLet me know if the answer is unclear!",
        "Answer: %s",
        "#### %s",
    ],
)
def test_every_kind_of_answer_is_read_in_every_form(dress):
    assert [a for a in ANSWERS[:130] if not grade_answer(dress.replace("%s", a), a).correct] == []


@needs_data
def test_no_change_of_gsm8k_s_answers_is_graded_right():
    report = graded_right(gsm8k_answers(Path(DATA) / "gsm8k")[::5])
    assert report["changes"] > 4000
    assert report["graded_right"] == report["answers_graded_wrong"] == []


@needs_data
def test_gsm8k_s_model_solutions_are_graded_as_labelled():
    assert against_labels(Path(DATA) / "gsm8k") == {"solutions": 5276, "as_labelled": 5276}
