"""Long answers, as models write them: with a plan, headings, lead-ins, and every number said again."""

import os
import subprocess
import sys

import pytest

from cal_grpo.oracles import Query, ReferenceOracle, Tag

HIKE = (
    "Mara hikes an 11-mile trail. She walked the first 5 miles in 1 hour and the next two miles in another hour. If she wants "
    "to be 3 hours on the way, how many miles per hour does she walk on the rest, and 5 miles per hour at most?"
)
HIKE_SOLUTION = (
    "She has walked 5 + 2 = 7 miles.\nThere are 11 - 7 = 4 miles left.\nShe has been walking for 1 + 1 = 2 hours.\n"
    "She has 3 - 2 = 1 hour left.\nShe walks at 4 / 1 = 4 miles per hour.\n#### 4"
)
PLAN = (
    "To find Mara's speed, we need to follow these steps:\n\n1. Calculate the distance that she walked.\n"
    "2. Determine the time that she spent.\n3. Calculate the remaining distance.\n4. Determine the speed.\n\n"
    "First, let's calculate the distance that she walked:\n- She walked the first 5 miles in 1 hour.\n"
    "- She walked the next two miles in another hour.\n- Therefore, the distance is:\n\\[\n5 + 2 = 7 \\text{ miles}\n\\]\n\n"
)
SHOP = "A shop sells 20 shirts at $10 each and 12 caps at $5 each. It pays $40 for rent. What does it earn?"
SHOP_SOLUTION = "The shirts bring 20 * 10 = $200.\nThe caps bring 12 * 5 = $60.\nThe shop earns 200 + 60 - 40 = $220.\n#### 220"
SHOP_PLAN = (
    "To determine what the shop earns, we need to follow these steps:\n\n1. Calculate what the shirts bring.\n"
    "2. Calculate what the caps bring.\n3. Add the two.\n4. Subtract the rent.\n\nFirst, let's look at what is given:\n"
    "- The shop sells 20 shirts at $10 each.\n- The shop sells 12 caps at $5 each.\n- The shop pays $40 for rent.\n\n"
)


@pytest.mark.parametrize(
    ("question", "reference", "response", "wrong"),
    [
        # what is wrong comes to a number of the question, and is used as if it were that
        (
            HIKE,
            HIKE_SOLUTION,
            PLAN
            + "Now we calculate the remaining distance:\n- The distance that she walked is 7 miles.\n- Therefore, it is:\n\\[\n"
            "7 - 2 = 5 \\text{ miles}\n\\]\n\nFinally:\n- Therefore, the speed is 5 miles per hour.\n\nIt is \\(\\boxed{5}\\).",
            "7 - 2 = 5",
        ),
        (
            SHOP,
            SHOP_SOLUTION,
            SHOP_PLAN
            + "Next, we calculate the price of a thing:\n- Therefore, a thing costs \\(10 - 5 = 5\\) dollars.\n\nThen:\n"
            "- The price is $5.\n- Therefore, the shop earns \\(5 \\times 20 = 100\\) dollars.\n\nSo it is \\(\\boxed{100}\\).",
            "10 - 5 = 5",
        ),
        # a slip at the end
        (
            SHOP,
            SHOP_SOLUTION,
            SHOP_PLAN + "Next, the shirts:\n\\[\n20 \\times 10 = 200\n\\]\n\nNext, the caps:\n\\[\n12 \\times 5 = 60\n\\]\n\n"
            "Finally, what it earns:\n\\[\n200 + 60 - 40 = 240\n\\]\n\nTherefore, the shop earns \\(\\boxed{240}\\).",
            "200 + 60 - 40 = 240",
        ),
    ],
)
def test_the_computation_is_blamed_and_not_the_words_around_it(question, reference, response, wrong):
    found = ReferenceOracle(min_confidence=0.6).locate_now(Query(question, reference, response))
    assert found.tag is Tag.FOUND, found
    assert wrong in found.segment


def test_lines_without_a_word_or_a_number_are_never_blamed():
    response = SHOP_PLAN + "\\[\n20 \\times 10 = 200\n\\]\n\n---\n\n\\[\n200 - 40 = 160\n\\]\n\n\\boxed{160}"
    for end in range(response.index("160"), len(response)):
        found = ReferenceOracle().locate_now(Query(SHOP, SHOP_SOLUTION, response[:end] + "\n#### 160"))
        assert any(sign.isalnum() for sign in found.segment)


def test_a_verdict_is_the_same_in_every_process():
    """Sets of words have another order in each."""
    program = (
        "from cal_grpo.oracles import Query, ReferenceOracle; import sys;"
        "print(ReferenceOracle().locate_now(Query(*sys.argv[1:])))"
    )
    response = SHOP_PLAN + "The shirts bring 20 * 5 = 100 dollars.\nAll in all the shop has 100 + 12 = 112 dollars.\n#### 112"
    verdicts = {
        subprocess.run(
            [sys.executable, "-c", program, SHOP, SHOP_SOLUTION, response],
            env=os.environ | {"PYTHONHASHSEED": str(seed)}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in range(3)
    }  # fmt: skip
    assert len(verdicts) == 1
