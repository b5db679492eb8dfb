import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cal_grpo.grading import extract_answer, grade_answer, parse_number


@pytest.mark.parametrize(
    ("response", "reference", "extracted"),
    [
        ("She makes 9*2=18\n#### 18", "18", "18"),
        ("So \\boxed{18}", "18", "18"),
        ("The answer is $1,234.50.", "1234.5", "$1,234.50"),
        ("The final answer is: 3/4", "0.75", "3/4"),
        ("... so\nA: 26", "26", "26"),
        ("Answer: 75%", "75", "75%"),
        ("#### 18 eggs", "18", "18 eggs"),
        ("12 + 6 = 18 and that is all", "18", "18"),
        ("#### 5\nWait, that is wrong.\n#### 7", "7", "7"),
        ("The answer is 5.\nThe answer is \\boxed{\\frac{1}{2}}", "0.5", "\\frac{1}{2}"),
        ("**Answer:** 42\nthe answer is **42**", "42", "42"),
        ("#### -3", "-3", "-3"),
        ("#### $-3", "-3", "$-3"),
        ("the answer is −4", "-4", "−4"),
        ("x\n#### 70,000", "70000", "70,000"),
        ("#### x = 5", "5", "x = 5"),
        ("\\boxed{x^2+2x+1}", "(x+1)^2", "x^2+2x+1"),
        ("\\boxed{\\text{Tuesday}}", "tuesday", "\\text{Tuesday}"),
        ("#### 18", "He has 9*2 = 18\n#### 18", "18"),
        ("#### 0.50", "1/2", "0.50"),
        ("The answer is 18 because 9*2 makes 18, not 17.", "18", "18"),
        ("The answer is 5. That is 6 less than 11.", "5", "5"),
        ("The answer is: $9 \\times 2 = 18$.", "18", "9 \\times 2 = 18"),
        ("Answer: 9*2 = 18 eggs", "18", "9*2 = 18 eggs"),
        ("#### Step 1: add\n4 + 5 = 9\n#### Step 2: double\n9 * 2 = 18", "18", "18"),
        ("#### The answer is 18", "18", "18"),
        ("#### Tuesday", "Tuesday", "Tuesday"),
        ("#### ≈ 18", "18", "18"),
        ("#### about 18 eggs", "18", "18 eggs"),
        ("The answer is ~18.", "18", "18"),
        ("**Final Answer:** \\boxed{18}", "18", "18"),
        ("#### 18 a day", "18", "18 a day"),
        ("#### 60 km/h", "60", "60 km/h"),
        ("#### $18/day", "18", "$18/day"),
        ("#### 1{,}234", "1,234", "1{,}234"),
        ("#### 1\u202f234", "1234", "1\u202f234"),
        ("#### 18", "2 * 9 = 18 eggs\nA: 18", "18"),
        ("#### 1 1/2 cups", "3/2", "1 1/2 cups"),
        ("\\boxed{1\\frac{1}{2}}", "1.5", "1\\frac{1}{2}"),
        ("\\boxed{-2\\frac12}", "-5/2", "-2\\frac12"),
        ("So $x = \\boxed 5$ in the year 1990", "5", "5"),
        ("\\fbox{5} of 9", "5", "5"),
        ("The answer is about 18 eggs.", "18", "about 18 eggs"[6:]),
        ("The answer is therefore, 7, and not 8", "7", "7"),
        ("The answer would be 5, not 6", "5", "5"),
        ("The answer equals 5, not 6", "5", "5"),
        ("#### 18!", "18", "18"),
        ("the answer is 18!", "18", "18"),
        ("#### USD 5", "5", "USD 5"),
        ("#### US$5", "5", "US$5"),
        ("\\boxed{7!}", "5040", "7!"),
        ("\\boxed{\\text{(C)}}", "C", "\\text{(C)}"),
        ("\\boxed{C}", "\\text{(C)}", "C"),
        ("\\boxed{18\\text{ cm}^2}", "18", "18\\text{ cm}^2"),
        ("\\boxed{48^\\circ}", "48", "48^\\circ"),
        ("\\boxed{(3, \\frac{\\pi}{2})}", "\\left( 3, \\frac{\\pi}{2} \\right)", "(3, \\frac{\\pi}{2})"),
        ("either \\boxed{4} or, better, \\boxed{5}", "5", "5"),
    ],
)
def test_right_answers_in_many_dresses(response, reference, extracted):
    grade = grade_answer(response, reference)
    assert grade.extracted == extracted
    assert grade.correct


@pytest.mark.parametrize(
    ("response", "reference"),
    [
        ("#### 17", "18"),
        ("The answer is 18.5", "18"),
        ("#### 180", "18"),
        ("#### 18 or 19", "18"),
        ("18\n#### 5", "18"),
        ("", "18"),
        ("I do not know.", "18"),
        ("#### ", "18"),
        ("\\boxed{18", "181"),
        ("#### 1/0", "0"),
        ("The answer is 18 or 19", "18"),
        ("The answer is either 18", "17"),
        ("#### 5x", "5"),
        ("#### 5 x", "5"),
        ("#### 18:30", "18"),
        ("#### 18+1", "18"),
        ("#### yes", "18"),
        ("\\boxed{x+1}", "x+2"),
        ("\\boxed{1\\frac{1}{2}}", "11/2"),
        ("\\boxed{7!}", "7"),
        ("\\boxed{[2,5)}", "[2,5]"),
        ("\\boxed{(1,2)}", "(2,1)"),
        ("\\boxed{(9!)!}", "1"),
        ("the answer is not 5", "5"),
    ],
)
def test_wrong_answers(response, reference):
    assert not grade_answer(response, reference).correct


def test_no_answer_is_told_from_a_wrong_one():
    assert grade_answer("I do not know.", "18").extracted is None
    assert grade_answer("I do not know.", "18").method == "none"
    assert grade_answer("#### 17", "18").method == "number"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234", Fraction(1234)),
        ("1,23", None),
        ("$3.50", Fraction(7, 2)),
        ("75%", Fraction(75)),
        ("3/4", Fraction(3, 4)),
        ("5 apples", Fraction(5)),
        ("5x", None),
        ("9**9", None),
        (".5", Fraction(1, 2)),
        ("two", None),
        ("1" * 61, None),
        ("\\frac{3}{4}", Fraction(3, 4)),
        ("12 - 5", None),
        ("12 - 5 = 7", Fraction(7)),
        ("x + 5 = 7", None),
        ("2 m", Fraction(2)),
        ("2 3/4", Fraction(11, 4)),
        ("-2 3/4 cups", Fraction(-11, 4)),
        ("9\\dfrac{3}{4}", Fraction(39, 4)),
        ("\\frac34", Fraction(3, 4)),
        ("2 3", None),
        ("7!", None),
        ("1 1/0", None),
        ("1" * 40 + " " + "1" * 40 + "/3", None),
        ("-$5", Fraction(-5)),
        ("- 5", Fraction(-5)),
        ("--5", None),
        ("=", None),
        ("", None),
    ],
)
def test_numbers(text, number):
    assert parse_number(text) == number


@given(st.text(max_size=300), st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_text_raises(response, reference):
    grade = grade_answer(response, reference)
    assert isinstance(grade.correct, bool)
    extract_answer(response)
    parse_number(reference)


@given(st.integers(-(10**9), 10**9), st.integers(0, 99))
def test_a_decimal_equals_itself_with_separators(whole, cents):
    number = Fraction(whole) + Fraction(cents, 100) * (-1 if whole < 0 else 1)
    sign = "-" if whole < 0 else ""
    assert parse_number(f"{sign}${abs(whole):,}.{cents:02d}") == number


@pytest.mark.parametrize(
    "hostile",
    ["\\boxed{" * 20000, "{" * 100_000, "#### " * 50_000, "9" * 1_000_000, "#### 9**9**9", "\\boxed{9^{9^{9^{9}}}}",
     "the answer is " * 20_000, "1," * 100_000, "#### " + "(" * 200 + "1" + ")" * 200],
)  # fmt: skip
def test_hostile_text_is_graded_wrong_within_a_bound(hostile):
    began = time.monotonic()
    assert not grade_answer(hostile, "18").correct
    assert time.monotonic() - began < 10
