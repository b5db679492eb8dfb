import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.oracles import ArithmeticOracle, Query, Tag
from cal_grpo.oracles.free.worked.reading.expressions import chains
from cal_grpo.oracles.free.worked.reading.lexer import tokenize
from cal_grpo.oracles.free.worked.reading.quantities import equations

DATA = os.environ.get("CAL_GRPO_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="CAL_GRPO_DATA names no folder with GSM8K and its model solutions")
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def verdict_on(response):
    return ArithmeticOracle().locate_now(Query("q", "r", response))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("3 × 4 = 12", [12, 12]),
        ("3 x 4 = 12", [12, 12]),
        ("3*4=12", [12, 12]),
        ("3 times 4 equals 12", [12, 12]),
        ("36 divided by 3 equals 12", [12, 12]),
        (r"\( 3 \times 4 = 12 \)", [12, 12]),
        (r"\frac{36}{3} = 12", [12, 12]),
        ("**Total**: 3 + 4 = **7**", [7, 7]),
        ("$1,800 + $2,700 = $4,500.00", [4500, 4500]),
        ("$350 000 x 5/100 = $17 500", [17500, 17500]),
        ("25% of 80 = 20", [20, 20]),
        ("30 players x 200 ml = 6000 ml", [6000, 6000]),
        ("$250/hour x 2 hours = $500", [500, 500]),
        ("10 (driving) + 20 (waiting to board) = 30", [30, 30]),
        ("158 * 1 1/2 = 237 fish", [237, 237]),
        ("60 / 3/4 = 80 years", [80, 80]),
        ("60/3/4 = 5", [5, 5]),
        ("4(6) + 2 = 26", [26, 26]),
        ("-3 + 5 = 2", [2, 2]),
        ("½ * 10 = 5", [5, 5]),
        ("2 * (3 + 4) = 2 * 7 = 14", [14, 14, 14]),
        ("9,450 leaves + 3,240 leaves = 12,690 leaves", [12690, 12690]),
        ("8 ft. * 20 ft. = 160 sq. ft.", [160, 160]),
        ("so $45/3 = $15/hr.", [15, 15]),
        ("3000/2= =1500", [1500, 1500]),
    ],
)
def test_one_equation_in_many_dresses(text, values):
    (equation,) = equations(text)
    assert list(equation.values) == values
    assert equation.false_side() is None


@pytest.mark.parametrize(
    "text",
    [
        "apples + 5 * 2 = 22",  # hangs on something unread
        "12 x 1 and 1/4 = 15",
        "2x + 3 = 9",  # an unknown
        "300m = 30000 cm",
        "5 friends = 75 + 15",  # a name
        "2 kg = 2 * 1000 = 2000 g",
        "1 hour + 10 minutes = 70 minutes",  # units of one kind
        "100 / 3 = 33.33",
        "2.675 * 1.5 = 4.01",
        "580/110 = 5.2727272727272725",
        "0.1 * 3 = 0.30000000000000004",
        "100 - 75 = 25%",
        "15 / 60 * 100% = 25%",
        "3 * 4 = 12 + 5 = 17",  # a running total
        "1800 - 2000 = 200 less",
        "13 / 6 = 2 full cycles",
        "$0.25 x 10 = 250 cents",
        "7:50 + 30 minutes = 8:20",
        "the 3rd = 5",
        "16,0000/10 = 16000",
        "100 - 20% = 80",
        "$200 + 10% = $220 in all",
        "f(3) + 4 = 2",
        "1.5e3 + 1 = 1501",
        "1 + 1 = 10_2",
        "3.5.2 + 1 = 4",
        "$5 - 50 cents = $4.50",
    ],
)
def test_what_people_mean_right_raises_no_alarm(text):
    assert verdict_on(text).tag is Tag.ABSTAINED


@pytest.mark.parametrize(
    "text",
    [
        "5 + 8 = 14",
        "42-37=6",
        "She has 4 + 3 + 4 = 27 bags.",
        "192*100=$1920",
        r"\( 7 \times 8 = 54 \)",
        "3/4 of 80 = 50",
        "10% of 50 = 6",
    ],
)
def test_false_equations_are_blamed(text):
    found = verdict_on(f"First 2 + 2 = 4.\n{text}\nso 1 + 1 = 3")
    assert found.segment == text
    assert found.hint.endswith("4.\n")
    assert "false" in found.critique


def test_an_annotation_and_the_number_behind_it_are_checked():
    assert verdict_on("He has 130 x 1000 = <<130*1000=130000>>1,300,000 people").tag is Tag.FOUND
    assert verdict_on("He has 130 x 1000 = <<130*1000=130000>>130,000 people").tag is Tag.ABSTAINED


expression = st.recursive(
    st.integers(0, 10_000).map(lambda n: (str(n), Fraction(n))),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda t: (
            f"({t[0][0]} {t[1]} {t[2][0]})",
            {"+": t[0][1] + t[2][1], "-": t[0][1] - t[2][1], "*": t[0][1] * t[2][1]}[t[1]],
        )
    ),
    max_leaves=6,
)


@given(expression, st.integers(-3, 3))
def test_recomputing_agrees_with_arithmetic_done_independently(pair, slip):
    text, value = pair
    written = f"{text} + 1 = {value + 1 + slip}"
    (equation,) = equations(written)
    assert equation.values == (value + 1, value + 1 + slip)
    # 7 - 9 = 2 is let through as 9 - 7
    assert (equation.false_side() is None) == (slip == 0 or value + 1 == -(value + 1 + slip))


@given(st.text(alphabet="0123456789.,+-*/=()%$ xXabc:\\{}<>\n^½", max_size=80))
def test_no_text_raises(text):
    list(equations(text))
    list(chains(tokenize(text)))
    verdict_on(text)


def test_endless_numbers_and_brackets_take_no_time():
    verdict_on("1" * 5000 + " + 1 = 2")
    verdict_on("(" * 5000 + "1 + 1 = 3")
    verdict_on(" * ".join(["99999999"] * 500) + " = 1")


def right_model_solutions():
    for line in (Path(DATA) / "gsm8k" / "example_model_solutions.jsonl").read_text().splitlines():
        row = json.loads(line)
        yield from (row[model]["solution"] for model in MODELS if row[model]["is_correct"])


@needs_data
def test_fewer_than_one_alarm_in_two_hundred_right_solutions():
    train = [json.loads(line)["answer"] for line in (Path(DATA) / "gsm8k" / "train.jsonl").read_text().splitlines()]
    for solutions in (list(right_model_solutions()), train[::3]):
        alarms = sum(verdict_on(solution).tag is Tag.FOUND for solution in solutions)
        assert alarms / len(solutions) < 0.005
