"""When ``reference`` says nothing: nothing that is written is wrong, or what is written is not about the question."""

import itertools
import json
import os
import random
import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cal_grpo.oracles import Query, ReferenceOracle, Tag
from cal_grpo.oracles.free.worked.claims import written_out
from cal_grpo.tasks.ledger import stories

DATA = os.environ.get("CAL_GRPO_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="CAL_GRPO_DATA names no folder with GSM8K")

SHOP = "A shop sells 20 shirts at $10 each and 12 caps at $5 each. It pays $40 for rent. What does it earn?"
SHOP_SOLUTION = "The shirts bring 20 * 10 = $200.\nThe caps bring 12 * 5 = $60.\nThe shop earns 200 + 60 - 40 = $220.\n#### 220"
RIGHT = [
    "The shirts bring 20 * 10 = $200.\nThe caps bring 12 * 5 = $60.\nIt earns 200 + 60 - 40 = $220.",
    "Caps: 12 * 5 = 60 dollars.\nMinus rent: 60 - 40 = 20.\nShirts: 10 * 20 = 200.\nIn total 200 + 20 = 220.",
    "Shirts bring 20*10=$<<20*10=200>>200.\nCaps bring 12*5=$<<12*5=60>>60.\nThat is <<200+60-40=220>>220.",
    "**Step 1:** Shirts: \\( 20 \\times 10 = 200 \\)\n**Step 2:** Caps: \\( 12 \\times 5 = 60 \\)\n\\( 200 + 60 - 40 = 220 \\)",
]


def judge(response, question=SHOP, reference=SHOP_SOLUTION):
    return ReferenceOracle().locate_now(Query(question, reference, response))


@pytest.mark.parametrize("solution", RIGHT)
def test_of_a_right_solution_cut_off_anywhere_nothing_is_blamed(solution):
    for end in range(len(solution) + 1):
        assert judge(solution[:end]).tag is Tag.ABSTAINED, solution[:end]


@pytest.mark.parametrize(
    ("response", "segment"),
    [
        ("The shirts bring 20 * 10 = $200.\nThe caps bring 12 + 5 = $17.\nSo", "The caps bring 12 + 5 = $17."),
        ("The shirts bring 20 * 10 = $300.\nThe caps", "The shirts bring 20 * 10 = $300."),
        ("The caps bring 12 * 5 = $7", "The caps bring 12 * 5 = $7"),  # 7 never becomes 60
        ("The shirts bring 20 * 10 = $200.\nWith 3 more, 200 * 3 = 600.", "With 3 more, 200 * 3 = 600."),
    ],
)
def test_a_wrong_step_is_blamed_though_the_answer_is_missing(response, segment):
    assert judge(response).segment == segment


@pytest.mark.parametrize("reference", ["220", "#### 220", "\\boxed{220}", "$220"])
def test_with_a_bare_answer_as_reference_only_what_is_false_by_itself_is_blamed(reference):
    wrong = "The shirts bring 20 * 10 = $200.\nThe caps bring 12 * 5 = $60.\nIt earns 200 + 60 + 40 = $300."
    verdict = judge(wrong, reference=reference)
    assert (verdict.tag, verdict.critique) == (Tag.ABSTAINED, "the reference is an answer, and no solution")
    assert judge(wrong.replace("$60.", "$50."), reference=reference).segment == "The caps bring 12 * 5 = $50."


@pytest.mark.parametrize("ending", ["#### 200", "A: 200", "The answer is 200.", "\\boxed{200}", "200"])
def test_a_wrong_answer_is_blamed_though_all_before_it_is_right(ending):
    assert judge(f"The shirts bring 20 * 10 = $200.\n{ending}").tag is Tag.FOUND


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("12 * 5 = 6", "12 * 5 ="),
        ("12 * 5 = 60", "12 * 5 = 60"),
        ("12 * 5 = 7", "12 * 5 = 7"),
        ("12 * 5 = 6 ", "12 * 5 = 6 "),  # the number ends there
        ("It is 200 + 6", "It is "),
        ("It is 20", "It is "),
        ("12 * 5 = 60\n", "12 * 5 = 60\n"),
        ("12 * 5 = 6 * 1", "12 * 5 ="),
        ("2x + 4 = 1", "2x + 4 ="),
        ("They bring <<12*5=6", "They bring "),
        ("<<12*5=60>>6", "<<12*5=60>>"),
        ("", ""),
    ],
)
def test_what_more_text_could_make_right_is_not_read(text, kept):
    assert written_out(text) == kept or written_out(text).rstrip() == kept.rstrip()


@pytest.mark.parametrize("steps", [2, 8])
def test_of_a_right_ledger_cut_off_anywhere_nothing_is_blamed(steps):
    for example in itertools.islice(stories(seed=6, steps=steps, split="train"), 20):
        lines = example.reference[: example.reference.index("####")]
        for end in range(len(lines) + 1):
            assert judge(lines[:end], example.question, example.reference).tag is Tag.ABSTAINED, lines[:end]


@needs_data
def test_of_gsm8k_references_cut_off_nothing_is_blamed():
    rng, blamed, asked = random.Random("prefixes"), 0, 0
    for line in (Path(DATA) / "gsm8k" / "test.jsonl").read_text().splitlines()[:300]:
        row = json.loads(line)
        for solution in (row["answer"], re.sub(r"<<[^<>\n]*>>", "", row["answer"])):
            text = solution[: solution.index("####")]
            asked += 1
            blamed += judge(text[: rng.randrange(1, len(text))], row["question"], row["answer"]).tag is Tag.FOUND
    assert asked == 600
    assert blamed <= 0.02 * asked  # misread: an unknown named L beside a bracket, 1$5


NOUNS = """
river copper violin parliament orbit pigeon syntax glacier velvet mustard lantern treaty enzyme harbour fable
"""
LITTLE = """
the of a to and is in for with he she they it so then but from by
"""
numbers = st.integers(0, 5000).map(str)


def salad(words, least=30):
    return st.lists(st.one_of(words, words, words, numbers), min_size=least, max_size=80).map(" ".join)


GIBBERISH = {
    "foreign words": salad(st.sampled_from((NOUNS + LITTLE).split())),
    "no words": salad(st.text(alphabet="bcdfghjklmnpqrstvwz", min_size=3, max_size=9)),
    "the same words again": salad(st.sampled_from(["river", "lantern"])),
    "foreign words with equations": st.lists(
        st.tuples(
            st.sampled_from(NOUNS.split()),
            st.sampled_from(NOUNS.split()),
            st.sampled_from(NOUNS.split()),
            numbers,
            numbers,
            numbers,
        ),
        min_size=6,
        max_size=9,
    ).map(lambda rows: "\n".join(f"{a} {b} {x} + {y} = {z} {c}" for a, b, c, x, y, z in rows)),
}


@pytest.mark.parametrize("kind", GIBBERISH)
@pytest.mark.parametrize("ending", ["", "\n#### 17"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_gibberish_is_not_blamed(kind, ending, data):
    text = data.draw(GIBBERISH[kind])
    assume(sum(word.isalpha() for word in text.split()) >= 12)  # fewer tell nothing
    found = judge(text + ending)
    assert found.tag is Tag.ABSTAINED, (text, found)


SOLD = """
She sells each of the shirts and all of the caps. Then the shop pays for the rent, so it keeps the rest. The 20 shirts are at
$10 each and the 12 caps are at $5. So in all it is 20 * 5 = 100 for the day.
"""


def test_a_solution_with_its_words_shuffled_is_hardly_ever_blamed():
    words = SOLD.split()
    rng, blamed = random.Random("shuffled"), 0
    for _ in range(200):
        rng.shuffle(words)
        blamed += judge(" ".join(words) + "\n#### 100").tag is Tag.FOUND
    assert blamed <= 10


def test_a_model_that_rambles_is_not_blamed():
    text = (
        "This is a classic problem in nonlinear dynamics, where the turning point of a bank depends on the terrain of a city. "
        "A common interpretation is that its region is 32 feet wide going from the top to the opposite end, with 0 feet of the "
        "original width. A car can travel 1000 miles at 26 minutes, so 1000 * 26 = 26000 laps of fuel.\n#### 26000"
    )
    assert judge(text).tag is Tag.ABSTAINED


@pytest.mark.parametrize(
    ("response", "first"),
    [
        # the question is misunderstood at once
        ("There are 20 + 12 = 32 things to sell.\nEach costs 10 + 5 = $15.\nIt earns 32 * 15 = $480.\n#### 480", 0),
        # a plan that has nothing to do with the reference's
        ("I divide the rent by the caps: 40 / 12 = 3.33.\nTimes 20 shirts that is 3.33 * 20 = 66.6.\n#### 66.6", 0),
        ("Let us think.\nThe shop pays 40 * 20 = $800.\nSo each cap costs 800 / 12 = 66.67.\n#### 66.67", 1),
    ],
)
def test_what_is_wrong_from_the_beginning_is_blamed_there(response, first):
    found = judge(response)
    assert found.segment == response.splitlines()[first]
    assert found.critique.startswith("it is wrong from the beginning")
