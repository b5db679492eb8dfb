import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner, TokenSpan
from cal_grpo.oracles import Query, ReferenceOracle, Tag
from cal_grpo.policies import EMBEDDED

DATA = os.environ.get("CAL_GRPO_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="CAL_GRPO_DATA names no folder with GSM8K and first_error.jsonl")
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")

EGGS = "Janet's ducks lay 16 eggs. She eats three and bakes with four. She sells the rest for $2 an egg. How much is that?"
EGGS_SOLUTION = "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs.\nShe makes 9 * 2 = $<<9*2=18>>18.\n#### 18"
SHOP = "A shop sells 20 shirts at $10 each and 12 caps at $5 each. It pays $40 for rent. What does it earn?"
SHOP_SOLUTION = "The shirts bring 20 * 10 = $200.\nThe caps bring 12 * 5 = $60.\nThe shop earns 200 + 60 - 40 = $220.\n#### 220"


def judge(response, question=SHOP, reference=SHOP_SOLUTION, **settings):
    return ReferenceOracle(**settings).locate_now(Query(question, reference, response))


@pytest.mark.parametrize(
    ("response", "first_error"),
    [
        # a wrong operation on the right numbers
        ("The shirts bring 20 * 10 = $200.\nThe caps bring 12 + 5 = $17.\nIt earns 200 + 17 - 40 = $177.\nA: 177", 1),
        ("Shirts: 20 * 10 = 200.\nCaps: 12 * 5 = 60.\nSo it earns 200 + 60 + 40 = 300.\nA: 300", 2),
        # a number from somewhere else
        ("The shirts bring 20 * 5 = $100.\nThe caps bring 12 * 5 = $60.\nIt earns 100 + 60 - 40 = $120.\nA: 120", 0),
        # recomputed wrongly
        ("The shirts bring 20 * 10 = $200.\nThe caps bring 12 * 5 = $70.\nIt earns 200 + 70 - 40 = $230.\nA: 230", 1),
        # the rest is left out
        ("The shirts bring 20 * 10 = $200.\nThe caps bring 12 * 5 = $60.\nSo the shop earns 200 + 60 = $260.\nA: 260", 2),
        # it goes on after the right answer
        ("20 * 10 = 200\n12 * 5 = 60\n200 + 60 - 40 = 220\nAnd for two shops that makes 220 * 2 = 440.\nA: 440", 3),
        # in another order, and worded otherwise, until it goes wrong
        ("Caps give 5 * 12 = 60 dollars.\nMinus rent: 60 - 40 = 20.\nShirts give 10 * 20 = 200.\nIn total 20 * 200 = 4000.", 3),
        # LaTeX and Markdown
        (
            "**Step 1:** Shirts: \\( 20 \\times 10 = 200 \\)\n\n**Step 2:** Caps: \\( 12 \\times 10 = 120 \\)\n\n"
            "**Step 3:** \\( 200 + 120 - 40 = 280 \\)\n\n\\boxed{280}",
            1,
        ),
        # GSM8K's annotations
        (
            "Shirts bring 20*10=$<<20*10=200>>200.\nCaps bring 12/5=$<<12/5=2.4>>2.4.\n"
            "It has <<200+2.4-40=162.4>>162.4.\nA: 162.4",
            1,
        ),
    ],
)
def test_the_first_wrong_step_is_named(response, first_error):
    found = judge(response)
    steps = [line for line in response.split("\n") if line.strip()]
    assert found.tag is Tag.FOUND
    assert found.segment in steps[first_error]
    assert 0 < found.confidence <= 1


@pytest.mark.parametrize(
    "response",
    [
        "Shirts: 20 * 10 = 200. Caps: 12 * 5 = 60. Together 260, less 40 is 220.",
        "12 * 5 = 60\n60 - 40 = 20\n20 * 10 = 200\n200 + 20 = 220\n#### 220",  # in another order
        "(20 * 10) + (12 * 5) - 40 = 220\nA: 220",  # all at once
        "Let x be what it earns.\nx + 40 = 20 * 10 + 12 * 5\nx + 40 = 260\nx = 220\nThe answer is 220.",
    ],
)
def test_a_response_that_never_diverges_is_left_alone(response):
    assert judge(response).tag is Tag.ABSTAINED


def test_the_number_that_repairs_the_answer_is_blamed_where_it_was_made():
    question = "A sandwich takes 1 pound of meat at $7 and 1 pound of cheese at $3 and feeds 4. What do 20 people cost?"
    reference = "20 / 4 = 5\nMeat: 7 * 5 = 35\nCheese: 3 * 5 = 15\n35 + 15 = 50\n#### 50"
    response = (
        "He needs 20 / 4 = 5 sandwiches.\nHe needs 5 * 2 = 10 pounds.\nMeat: 10 * 7 = 70\nCheese: 10 * 3 = 30\n70 + 30 = 100"
    )
    found = judge(response, question, reference)
    assert found.segment == "He needs 5 * 2 = 10 pounds."


def test_the_threshold_turns_unsure_verdicts_into_abstentions():
    response = "The shirts bring 20 * 5 = $100.\nThe caps bring 12 * 5 = $60.\nIt earns 100 + 60 - 40 = $120.\nA: 120"
    sure = judge(response)
    assert judge(response, min_confidence=sure.confidence).segment == sure.segment
    unsure = judge(response, min_confidence=sure.confidence + 0.01)
    assert unsure.tag is Tag.ABSTAINED
    assert unsure.confidence == sure.confidence


@pytest.mark.parametrize("response", ["", "   \n\n ", "I do not know.", "????", "####"])
def test_without_numbers_there_is_nothing_to_compare(response):
    assert judge(response).tag is Tag.ABSTAINED


def test_a_reference_that_is_only_the_answer_blames_no_right_step():
    assert judge("20 * 10 = 200\n12 * 5 = 60\n200 + 60 = 260\nA: 260", SHOP, "220").tag is Tag.ABSTAINED
    assert judge("20 * 10 = 200\n12 * 5 = 50\n200 + 50 = 250\nA: 250", SHOP, "220").segment == "12 * 5 = 50"


def test_of_two_equal_lines_the_hint_tells_which():
    question, reference = "2 and 3 and 3?", "2+3=5\n5+3=8\n#### 8"
    response = "2+3=5\n5+3=9\n9-1=8\n5+3=9\n#### 9"
    found = judge(response, question, reference)
    assert found.segment == "5+3=9"
    assert found.hint == "2+3=5\n"


@given(
    st.text(alphabet="0123456789.,+-*/=()%$ xyabcn:\\{}<>\n", max_size=200),
    st.text(alphabet="0123456789.,+-*/=()%$ xyabcn:\\{}<>\n#", max_size=120),
    st.text(alphabet="0123456789.% abchalftwo", max_size=60),
)
def test_whatever_the_texts_the_quote_is_in_the_response(response, reference, question):
    found = judge(response, question, reference)
    assert found.segment in response
    assert found.confidence is None or 0 <= found.confidence <= 1
    assert judge(response, question, reference) == found  # nothing is drawn, nothing is remembered


def test_endless_responses_are_read_in_time():
    began = time.process_time()
    judge("\n".join(f"{i} * 2 = {2 * i} and {2 * i} + 1 = {2 * i + 1}" for i in range(5000)))
    judge("1 + " * 20_000 + "1 = 5")
    judge("(" * 20_000)
    judge("1 + 1. So " * 10_000)
    judge("7" * 200_000)
    judge("-" * 100_000 + "7")
    judge(EGGS_SOLUTION, EGGS, "1 + 2 = 3\n" * 3000)
    assert time.process_time() - began < 60  # seconds; quadratic in any of them would take minutes


def mapped(tokenizer, response, found):
    ids = tokenizer.encode(response, add_special_tokens=False).ids
    return Aligner(tokenizer).map(ids, found.segment, hint=found.hint)


@needs_data
def test_on_every_wrong_solution_of_four_models_a_quote_is_given_that_maps():
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    folder = Path(DATA) / "gsm8k"
    references = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    wrong = 0
    for line, reference in zip((folder / "example_model_solutions.jsonl").read_text().splitlines(), references, strict=True):
        row = json.loads(line)
        for solution in (row[model]["solution"] for model in MODELS if not row[model]["is_correct"]):
            wrong += 1
            found = judge(solution, reference["question"], reference["answer"])
            if found.segment:
                assert isinstance(mapped(tokenizer, solution, found), TokenSpan), (solution, found)
    assert wrong == 3275
