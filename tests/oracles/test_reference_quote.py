"""What of a step is quoted, and what hostile text costs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.oracles import ArithmeticOracle, Query, ReferenceOracle
from cal_grpo.oracles.quote import pieces, quote
from cal_grpo.oracles.steps import Step, split_steps

QUESTION = "A shop sells 20 shirts at $10 each and 12 caps at $5 each. It pays $40 for rent. What does it earn?"
SOLUTION = "The shirts bring 20 * 10 = $200.\nThe caps bring 12 * 5 = $60.\nThe shop earns 200 + 60 - 40 = $220.\n#### 220"
ANSWER = "The shirts bring 20 * 5 = $100.\nThe caps bring 12 * 5 = $60.\nA: 120"
LENGTH = 20_000
LOOPS = [
    "20 * 10 = 200 ", "So it is 200. ", "a", "20 * 5 = 100, ", "1=", "2*", "x+", "x = 5\n", "2x + 3 = 9\n", "1 (a ", "(",
    "(1+", "(1)", "3 (of ", "\\frac{1}{", "\\frac", "<<1+1=3>>", "<<", "\\boxed{", "#### 5\n", "7,", "1.1", "1 \t", "2^3", "5%",
    "5% of ", "5. A ", ". A ", "**1** ", "Step 1: ", "- ", "a-", "½+", "\0 1+1=3", "1, and ",
]  # fmt: skip
NUMBERS = " ".join(str(i * i % 9973) for i in range(5000))
NESTED = "(" + "+".join(["(" + "+".join(["(3+4+5+6+7+8+9+10)"] * 8) + ")"] * 8) + ")"
HOSTILE = [
    *((loop * LENGTH)[:LENGTH] for loop in LOOPS),
    *("5" + space * (LENGTH + 10) + "5" for space in (" ", "\n", "\t")),
    NUMBERS,
    NUMBERS.replace(" ", " = "),
    "(" * LENGTH + "1" + ")" * LENGTH,
    "(1+" * 5000 + "1" + ")" * 5000,
    f"it is {NESTED} * {NESTED} = 9",
    "\n".join(f"{i} * 3 = {3 * i}" for i in range(2000)),
    "\n".join(f"{2**i} + {2**i} = {2 ** (i + 1)}" for i in range(1, 60)),
    "\n".join(" + ".join([str(2**i)] * 50) + f" = {2 ** (i + 1)}" for i in range(1, 40)),
]


def longest_before(text, end):
    """By trying every cut: whole words and numbers, ending before ``end``, as many as 42 pieces hold."""
    edges = [i for i in range(len(text) + 1) if not (0 < i < len(text) and text[i - 1].isalnum() and text[i].isalnum())]
    stop = max(i for i in edges if i <= end and text[i - 1].isalnum())
    return text[min(i for i in edges if i < stop and pieces(text[i:stop]) <= 42) : stop].strip()


@given(st.lists(st.sampled_from(["eggs", "12", "7", "of", "wonderful", "+"]), min_size=60, max_size=90))
def test_of_a_long_step_as_many_words_as_fit_are_quoted(words):
    text = " ".join([*words, "end"])
    part = quote(Step(text, 5, 5 + len(text)), None)
    assert part.text == longest_before(text, len(text))
    assert text[part.start - 5 : part.end - 5] == part.text


@given(st.text(alphabet="aA1. \n=", max_size=60))
def test_steps_cover_everything_but_white_space(text):
    steps = split_steps(text)
    assert all(text[step.start : step.end] == step.text == step.text.strip() for step in steps)
    assert "".join("".join(step.text for step in steps).split()) == "".join(text.split())


@pytest.mark.parametrize("where", ["response", "reference", "question"])
def test_hostile_text_is_read_in_time_and_raises_nothing(where):
    texts = {"question": QUESTION, "reference": SOLUTION, "response": ANSWER}
    began = time.process_time()
    for hostile in HOSTILE if where == "response" else HOSTILE[::4]:
        query = Query(**texts | {where: hostile})
        assert ReferenceOracle().locate_now(query).segment in query.response
        assert ArithmeticOracle().locate_now(query).segment in query.response
    assert time.process_time() - began < 60  # seconds, for some 40 texts; a single quadratic step takes more
