"""The repair style: where a response departs from its corrected version."""

import difflib
import json

import pytest
from _judge_server import answer
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag
from cal_grpo.oracles.departure import departure
from cal_grpo.oracles.judges import style_of

RESPONSE = "Ann has 3 bags of 4 nuts.\nThat is 3 + 4 = 7 nuts.\nShe eats 2, so 7 - 2 = 5 are left.\nA: 5"


@pytest.mark.parametrize(
    ("corrected", "quoted"),
    [
        ("Ann has 3 bags of 4 nuts.\nThat is 3 * 4 = 12 nuts.\nShe eats 2, so 12 - 2 = 10 are left.\nA: 10", "3 + 4 = 7"),
        # other words for the same numbers are no correction
        ("Ann has 3 bags with 4 nuts.\nThat is 3 + 4 = 7 nuts.\nShe eats 2, so 7 - 2 = 6 are left.\nA: 6", "7 - 2 = 5"),
        # a step put in blames the one that stands in its place
        ("Ann has 3 bags of 4 nuts.\nShe first gets 1 bag more.\nThat is 3 + 4 = 7 nuts.", "That is 3 + 4 = 7"),
        # steps left out
        ("That is 3 + 4 = 7 nuts.\nShe eats 2, so 7 - 2 = 5 are left.\nA: 5", "Ann has 3 bags"),
    ],
)
def test_the_first_step_that_the_correction_does_not_have(corrected, quoted):
    quote, hint, *_ = departure(RESPONSE, corrected)
    assert quoted in quote
    assert RESPONSE[RESPONSE.index(quote) - len(hint) : RESPONSE.index(quote)] == hint


def test_a_copy_departs_nowhere():
    assert departure(RESPONSE, RESPONSE) is None
    assert departure(RESPONSE, "") is None
    assert departure("", RESPONSE) is None


@given(st.text(alphabet="ab1 2+=.\n", max_size=60), st.text(alphabet="ab1 2+=.\n", max_size=60))
def test_what_is_quoted_is_in_the_response(response, corrected):
    found = departure(response, corrected)
    if found is not None:
        assert found[0]
        assert found[1] + found[0] in response


def test_the_judge_writes_the_correction_and_the_quote_is_computed(server, connect, protocol):
    corrected = {"corrected": RESPONSE.replace("3 + 4 = 7", "3 * 4 = 12"), "critique": "it adds"}
    server.script = lambda r: answer(r, json.dumps(corrected))
    query = Query("How many nuts?", "3 * 4 = 12", RESPONSE)
    (verdict,) = connect(style="repair").locate([query])
    assert (verdict.tag, verdict.critique) == (Tag.FOUND, "it adds")
    assert "3 + 4 = 7" in verdict.segment


def test_a_correction_that_changes_nothing_is_no_error_and_an_empty_one_malformed(server, connect):
    query = Query("How many nuts?", "3 * 4 = 12", RESPONSE)
    server.script = lambda r: answer(r, json.dumps({"corrected": RESPONSE, "critique": ""}))
    assert connect(style="repair").locate([query])[0].tag is Tag.NO_ERROR
    server.script = lambda r: answer(r, json.dumps({"corrected": " ", "critique": ""}))
    assert connect(style="repair").locate([query])[0].tag is Tag.MALFORMED


def test_the_styles_do_not_share_verdicts(server, connect, tmp_path):
    query = Query("How many nuts?", "3 * 4 = 12", RESPONSE)
    server.script = lambda r: answer(r, json.dumps({"corrected": RESPONSE, "critique": ""}))
    connect(style="repair", cache=tmp_path / "c.db").locate([query])
    server.script = lambda r: answer(r, json.dumps({"critique": "it adds", "segment": "3 + 4 = 7", "hint": ""}))
    assert connect(style="direct", cache=tmp_path / "c.db").locate([query])[0].tag is Tag.FOUND


def test_an_unknown_style_is_told():
    with pytest.raises(UsageError, match="prompt style is 'poem'; expected one of direct, repair"):
        style_of("poem")
    with pytest.raises(UsageError, match="prompt style"):
        CALOracle("openai", model="m", api_key="k", style="poem")


def _compared(monkeypatch):
    """How many pairs of texts are compared word by word, and how many words they have."""
    seen = []

    class Counting(difflib.SequenceMatcher):
        def __init__(self, isjunk, a, b, autojunk=True):
            seen.append(len(a) * len(b))
            super().__init__(isjunk, a, b, autojunk)

    monkeypatch.setattr(difflib, "SequenceMatcher", Counting)
    return seen


def test_a_judge_that_says_the_same_over_and_over_is_compared_once(monkeypatch):
    seen = _compared(monkeypatch)
    response = "\n".join(f"she has {noun} and goes" for noun in ("figs", "nuts", "pears")) + "\n#### 5"
    found = departure(response, "no such thing at all\n" * 3000)
    assert found.quote == "she has figs and goes"
    assert len(seen) <= 5


def test_lines_of_hundreds_of_words_are_not_matched_in_each_other(monkeypatch):
    seen = _compared(monkeypatch)
    found = departure("a b c " * 250, "b 1 " + "b a " * 10_000)  # a matcher takes minutes for these
    assert found.quote.startswith("a")
    assert max(seen) <= 100_000
