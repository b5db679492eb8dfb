"""What a verdict says should have stood there, and from where on."""

import itertools
import random

import pytest
from _corrupted import KINDS, corrupt
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.grading import grade_answer
from cal_grpo.oracles import Query, ReferenceOracle, Tag, Verdict, copies_reference, corrected, split_steps
from cal_grpo.tasks.ledger import stories

TOTAL = "81-15=66\n66+7=73\n73-18=55\n#### 55"


def said(response, segment, correction, hint=None):
    return corrected(response, Verdict(Tag.FOUND, segment=segment, hint=hint, correction=correction))


def test_the_cut_is_where_the_step_of_the_quote_begins():
    response = "Tom has 3 apples. He buys 4, so 3 + 4 = 8.\n  Then 8 - 1 = 7."
    assert said(response, "3 + 4 = 8", "He has 7.") == (18, "He has 7.")
    assert said(response, "8 - 1 = 7", "Then 7 - 1 = 6.") == (45, "Then 7 - 1 = 6.")
    assert said(response, "Tom has 3 apples.", "x") == (0, "x")


def test_of_a_quote_over_several_steps_the_first_counts():
    assert said("1+1=2\n2+2=5\n5+5=10", "2+2=5\n5+5=10", "2+2=4") == (6, "2+2=4")
    assert said("1+1=2. Then 2+2=5.", ". Then 2+2=5.", "So 2+2=4.") == (7, "So 2+2=4.")


def test_the_hint_tells_twins_apart():
    assert said("1+1=3\nso\n1+1=3", "1+1=3", "x", hint="so\n") == (9, "x")
    assert said("1+1=3\nso\n1+1=3", "1+1=3", "x") == (0, "x")


def test_without_a_correction_or_its_place_there_is_none():
    assert corrected("1+1=3", Verdict(Tag.FOUND, segment="1+1=3")) is None
    assert corrected("1+1=3", Verdict(Tag.NO_ERROR)) is None
    assert said("1+1=3", "17 apples for everybody", "x") is None
    assert said("", "1+1=3", "x") is None


def test_only_a_found_verdict_has_a_correction():
    with pytest.raises(ValueError, match="correction only when its tag is 'found'"):
        Verdict(Tag.ABSTAINED, correction="1+1=2")


@given(st.text(), st.text(min_size=1), st.none() | st.text(), st.text())
def test_any_response_any_correction(response, segment, hint, correction):
    found = said(response, segment, correction, hint)
    if found is not None:
        cut, text = found
        assert text == correction
        assert cut in [step.start for step in split_steps(response)]


@given(st.lists(st.text("ab1+=. \n", min_size=1), min_size=1), st.data())
def test_a_quoted_step_is_the_one_that_is_cut(lines, data):
    response = "\n".join(lines)
    steps = [step for step in split_steps(response) if any(map(str.isalnum, step.text))]
    if steps:
        step = data.draw(st.sampled_from(steps))
        cut, _ = said(response, step.text, "right", response[max(0, step.start - 80) : step.start])
        assert response[cut:].startswith(step.text)


def ask_reference(response, reference=TOTAL, question="Ada has 81 apples, and so on."):
    return ReferenceOracle().locate_now(Query(question, reference, response))


@pytest.mark.parametrize(
    ("response", "cut", "rest"),
    [
        ("81-15=66\n66+7=72\n72-18=54\n#### 54", 9, "66+7=73\n73-18=55\n#### 55"),  # a slip
        ("81+15=96\n96+7=103\n103-18=85\n#### 85", 0, TOTAL),  # another sign, in the first line
        ("81-15=66\n66-18=48\n#### 48", 9, "66+7=73\n73-18=55\n#### 55"),  # one left out
        ("81-15=66\n66+7=73\n#### 73", 17, "73-18=55\n#### 55"),  # it ends too early
        ("81-15=66\n66+7=73\n73-18=55\n55+7=62\n#### 62", 26, "#### 55"),  # it goes on too long
        ("81-15=66\n66+7=73\n73-18=55\n#### 56", 26, "#### 55"),  # another answer than the one it came to
    ],
)
def test_a_running_total_goes_on_as_the_reference_does(response, cut, rest):
    verdict = ask_reference(response)
    assert corrected(response, verdict) == (cut, rest)
    assert response[:cut] + rest == TOTAL


@pytest.mark.parametrize(
    "response",
    [
        "66+7=73\n81-18=62\n#### 62",  # in another order
        "81 - 15 = 66\n66 + 7 = 72\n72 - 18 = 54\n#### 54",  # spelt otherwise
        "Start with 81-15=66.\nThen 66+7=72.\n72-18=54\n#### 54",  # with words
        "#### 54",  # an answer alone
        "First 15 go: 81-15=65\n65+7=72\n72-18=54\n#### 54",
    ],
)
def test_another_form_than_the_reference_has_gets_no_rest(response):
    verdict = ask_reference(response)
    assert verdict.tag is Tag.FOUND
    assert verdict.correction == ""


SHOP = "A shop sells 20 shirts at $10 each and 12 caps at $5 each. It pays $40 for rent. What does it earn?"
SHOP_SOLUTION = (
    "The shirts bring 20*10=$<<20*10=200>>200.\nThe caps bring 12*5=$<<12*5=60>>60.\n"
    "The shop earns 200+60-40=$<<200+60-40=220>>220.\n#### 220"
)


def test_a_free_form_answer_gets_no_rest_of_an_annotated_reference():
    for response in (
        "Shirts: 20 * 10 = 200.\nCaps: 12 * 5 = 60.\nSo it earns 200 + 60 + 40 = 300.\nA: 300",
        "The shirts bring 20*10=$200.\nThe caps bring 12+5=$17.\nThe shop earns 200+17-40=$177.\n#### 177",
    ):
        verdict = ask_reference(response, SHOP_SOLUTION, SHOP)
        assert verdict.tag is Tag.FOUND
        assert verdict.correction == ""


def test_an_answer_in_the_annotated_references_own_words_does():
    first, *_ = SHOP_SOLUTION.splitlines()
    response = f"{first}\nThe caps bring 12+5=$<<12+5=17>>17.\nThe shop earns 200+17-40=$<<200+17-40=177>>177.\n#### 177"
    cut, rest = corrected(response, ask_reference(response, SHOP_SOLUTION, SHOP))
    assert response[:cut] + rest == SHOP_SOLUTION


@pytest.mark.parametrize("kind", KINDS)
def test_every_corrected_ledger_is_the_reference(kind):
    rng, given_rest, asked = random.Random(f"corrections/{kind}"), 0, 0
    for example in itertools.islice(stories(seed=6, steps=6, split="train"), 60):
        if (corrupted := corrupt(example, kind, rng)) is None:
            continue
        response, first_wrong = corrupted
        asked += 1
        verdict = ask_reference(response, example.reference, example.question)
        if (found := corrected(response, verdict)) is not None:
            given_rest += 1
            cut, rest = found
            assert response[:cut] + rest == example.reference
            assert response[:cut].count("\n") == first_wrong
            assert grade_answer(response[:cut] + rest, example.answer).correct
    assert given_rest >= 0.98 * asked > 30


FREE = "Shirts: 20 * 10 = 200.\nCaps: 12 * 5 = 60.\nSo it earns 200 + 60 + 40 = 300.\nA: 300"


@pytest.mark.parametrize(
    ("correction", "copied"),
    [
        # its end
        ("The shop earns 200+60-40=$<<200+60-40=220>>220.\n#### 220", True),
        ("The  shop earns 200+60-40=$<<200+60-40=220>>220.\n\n#### 220", True),  # white space does not count
        ("#### 220", False),  # the answer alone, as everybody writes it
        ("So it earns 200 + 60 - 40 = 220.\nA: 220", False),  # the response's own words
        # two of its steps, and something else
        ("The shirts bring 20*10=$<<20*10=200>>200.\nThe caps bring 12*5=$<<12*5=60>>60.\nSo 220.", True),
        ("The caps bring 12*5=$<<12*5=60>>60.\nSo it earns 200 + 60 - 40 = 220.\nA: 220", False),  # one short one
    ],
)
def test_a_copy_of_the_reference_is_known_in_an_answer_of_another_form(correction, copied):
    assert copies_reference(Query(SHOP, SHOP_SOLUTION, FREE), correction) == copied


def test_eight_words_in_a_row_are_a_copy_unless_question_or_response_has_them():
    reference = "Since every one of the six boxes holds ten pens there are 60.\n#### 60"
    correction = "Well, every one of the six boxes holds ten, so 60.\nA: 60"
    response = "Boxes: 6, pens: 10.\nThat makes 6 + 10 = 16.\nA: 16"
    assert copies_reference(Query("How many pens?", reference, response), correction)
    assert not copies_reference(Query("How many, if every one of the six boxes holds ten?", reference, response), correction)
    assert not copies_reference(Query("How many pens?", reference.replace("ten", "10"), response), correction)


def test_an_answer_in_the_references_own_form_copies_nothing():
    assert not copies_reference(Query("q", TOTAL, "81-15=66\n66+7=72\n#### 72"), "66+7=73\n73-18=55\n#### 55")
    assert copies_reference(Query("q", TOTAL, "First 81 less 15 is 66.\nThen 72."), "66+7=73\n73-18=55\n#### 55")


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_is_a_copy_or_none(question, reference, response, correction):
    assert copies_reference(Query(question, reference, response), correction) in (True, False)


@given(st.text("12+-=#. \na"), st.text("12+-=#. \na"))
def test_whatever_the_answer_its_right_beginning_stays_and_the_end_is_the_references(reference, response):
    found = corrected(response, ask_reference(response, reference))
    if found is not None:
        cut, rest = found
        assert reference.rstrip().endswith(rest)
        right = [step.text for step in split_steps(reference)]
        assert [step.text for step in split_steps(response[:cut] + rest)] == right
