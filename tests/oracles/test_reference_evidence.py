"""Which steps are suspect, before they are weighed."""

import pytest

from cal_grpo.oracles.free.worked.evidence import gather
from cal_grpo.oracles.steps import split_steps

BOXES = "Tom has 20 boxes of 10 pens and gives away 15 boxes. He then sells each pen for $3. What does he get?"
BOXES_SOLUTION = "20 * 10 = 200 pens.\nHe gives away 15 * 10 = 150.\nHe keeps 200 - 150 = 50.\nHe gets 50 * 3 = $150.\n#### 150"
TANK = "A tank holds 8 liters. 25% leaks out, then 500 ml are used. How many ml are left?"
TANK_SOLUTION = (
    "The tank holds 8 * 1000 = 8000 ml.\n8000 * 25/100 = 2000 leak.\n8000 - 2000 = 6000\n6000 - 500 = 5500\n#### 5500"
)
NUMBER = "Twice a number and 4 more, doubled, makes 188. What is the number?"
NUMBER_SOLUTION = "Half of it is 188 / 2 = 94.\nThen 94 - 4 = 90.\nThe number is 90 / 2 = 45.\n#### 45"
PRICES = "A pen costs $2 and a book $9. Ann buys 6 pens and 4 books and pays with $60. What is her change?"
PRICES_SOLUTION = "Pens: 6 * 2 = 12\nBooks cost 4 * 9 = 36.\nTogether 12 + 36 = 48.\nShe gets back 60 - 48 = 12.\n#### 12"


def suspects(question, reference, *lines):
    found = gather(question, reference, split_steps("\n".join(lines)), "\n".join(lines))
    return [i for i, evidence in enumerate(found) if evidence.reason]


@pytest.mark.parametrize(
    ("problem", "lines", "suspected"),
    [
        # a detour that leads back: 5 boxes are not in the reference, but 5 * 10 is its 200 - 150
        ((BOXES, BOXES_SOLUTION), ["20 - 15 = 5", "5 * 10 = 50", "50 + 3 = 53", "A: 53"], [2]),
        # one that does not
        ((BOXES, BOXES_SOLUTION), ["20 + 15 = 35", "35 * 10 = 350", "350 * 3 = 1050"], [0, 1, 2]),
        # the rest of a percentage, other units
        ((TANK, TANK_SOLUTION), ["75% stays: 0.75 * 8 = 6 liters", "6 - 0.5 = 5.5 liters", "5.5 * 10 = 55 ml"], [2]),
        ((TANK, TANK_SOLUTION), ["8 * 0.25 = 2 liters leak", "8 - 2 = 6", "6 * 1000 = 6000", "6000 - 500 = 5500"], []),
        # algebra, checked under the reference's values
        ((NUMBER, NUMBER_SOLUTION), ["Let x be it.", "2(2x + 4) = 188", "4x + 8 = 188", "4x = 180", "x = 45"], []),
        ((NUMBER, NUMBER_SOLUTION), ["Let x be it.", "2(2x + 4) = 188", "4x + 8 = 94", "x = 21.5"], [2]),
        # a value that the reference has elsewhere, from other numbers: 9 + 3 is not the change
        ((PRICES, PRICES_SOLUTION), ["9 + 3 = 12", "60 - 4 = 56"], [0, 1]),
        # in another order, pulled together, and with names
        ((PRICES, PRICES_SOLUTION), ["books = 9 x 4 = 36", "60 - 36 = 24", "24 - 6*2 = 12"], []),
        # on after the right answer
        ((PRICES, PRICES_SOLUTION), ["6 * 2 + 4 * 9 = 48", "60 - 48 = 12", "12 / 2 = 6"], [2]),
        # false, though the value is the reference's
        ((PRICES, PRICES_SOLUTION), ["6 * 2 = 12", "4 * 9 = 35", "12 + 36 = 48"], [1]),
    ],
)
def test_steps_are_suspect_from_where_they_diverge(problem, lines, suspected):
    assert suspects(*problem, *lines) == suspected


def test_the_operation_that_the_reference_has_otherwise_is_told():
    response = "Pens: 6 + 2 = 8\n4 * 9 = 36\n36 + 8 = 44\n60 - 44 = 16"
    found = gather(PRICES, PRICES_SOLUTION, split_steps(response), response)
    assert [evidence.features.get("wrong_operation", 0) for evidence in found] == [1, 0, 0, 0]
    assert found[0].reason == "the reference solution never comes to 8"


def test_the_number_that_would_have_to_be_another_is_traced_to_the_words_that_named_it():
    response = "She needs 5 pens and 4 books.\nPens: 5 * 2 = 10\nBooks: 4 * 9 = 36\n10 + 36 = 46\n60 - 46 = 14"
    found = gather(PRICES, PRICES_SOLUTION, split_steps(response), response)
    assert [evidence.features.get("introduces", 0) for evidence in found] == [1, 0, 0, 0, 0]


AGES = "Tim walks 7 km to school and back on 5 days, and 2 km more on one. How far?"
AGES_SOLUTION = "A day has 2 * 7 = 14 km.\n5 days have 14 * 5 = 70 km.\nWith the 2 km, 70 + 2 = 72 km.\n#### 72"


def test_twice_may_be_written_as_a_sum():
    # 2 is given as kilometres, too: the reference's "2 * 7" does not take it from there
    assert suspects(AGES, AGES_SOLUTION, "7 + 7 = 14", "14 * 5 = 70", "70 - 2 = 68") == [2]


def test_a_reference_that_does_not_say_where_a_number_comes_from_is_met_by_who_says():
    question, reference = "The film has 1.25 hours. A half of it?", "That is 75 minutes.\nA half is 75 / 2 = 37.5.\n#### 37.5"
    assert suspects(question, reference, "1.25 * 60 = 75", "75 / 2 = 37.5") == []


def test_an_annotation_without_a_computation_does_not_hide_the_one_before_it():
    question, reference = "He has 65, 94 and 81. How many?", "He has 65 + 94 + 81 = <<240=240>>240.\nHalf is 240 / 2 = 120."
    assert suspects(question, reference, "65 + 94 + 81 = 240", "240 / 2 = 120") == []


def test_a_step_that_leads_astray_and_one_after_which_it_is_right_again():
    response = "6 + 2 = 8\n4 * 9 = 36\n8 * 5 = 40\n36 + 12 = 48"
    found = gather(PRICES, PRICES_SOLUTION, split_steps(response), response)
    assert [e.features.get("recovers", 0) for e in found] == [1, 1, 1, 0]
    response = "4 * 9 = 36\n36 * 60 = 2160"
    found = gather(PRICES, PRICES_SOLUTION, split_steps(response), response)
    assert [e.features.get("leads_astray", 0) for e in found] == [1, 0]
