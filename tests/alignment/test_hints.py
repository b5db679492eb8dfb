"""Which of several occurrences a quote means."""

import pytest

from cal_grpo.alignment import Aligner, Miss

RESPONSE = "\nTom: x = 4\n\nAnna has two more.\nAnna: x = 4\nSo 4 + 4 = 8.\nIn all: x = 4"
#           0 1          2..     lines that are not blank: 0 Tom, 1 Anna has, 2 Anna:, 3 So, 4 In all
FIRST, SECOND, THIRD = 6, 38, 66


@pytest.fixture
def start(characters):
    tokenizer, ids = characters

    def find(quote, hint=None, response=RESPONSE, **settings):
        got = Aligner(tokenizer, **settings).map(ids(response), quote, hint)
        return got.reason if isinstance(got, Miss) else got.start

    return find


def test_the_occurrences_are_where_they_should_be():
    assert [i for i in range(len(RESPONSE)) if RESPONSE.startswith("x = 4", i)] == [FIRST, SECOND, THIRD]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("Tom: ", FIRST),
        ("Anna has two more.\nAnna: ", SECOND),
        ("anna has **two** more. ANNA:", SECOND),  # in another spelling
        ("So 4 + 4 = 8.\nIn all: ", THIRD),
        ("...more than before, so 4 + 4 = 8. In all:", THIRD),  # its end agrees
        ("So 4 + 4 = 8.", THIRD),  # not directly before, but there once
        ("Anna has two more.", SECOND),
        ("0", FIRST),
        ("2", SECOND),
        (" 4\n", THIRD),
        ("3", FIRST),  # the quote is not in that line
        ("99", FIRST),
        ("9" * 5000, FIRST),
        ("Somebody else:", FIRST),
        ("has", FIRST),
        ("", FIRST),
        (None, FIRST),
    ],
)
def test_a_hint_decides_or_else_the_first(start, hint, expected):
    assert start("x = 4", hint) == expected
    # Where the config asks for caution, what the hint does not decide is a miss.
    undecided = hint in ("3", "99", "9" * 5000, "Somebody else:", "has", "", None)
    assert start("x = 4", hint, on_ambiguous="miss") == ("ambiguous" if undecided else expected)


def test_the_empty_hint_means_the_beginning(start):
    response = " x = 4\nso x = 4"
    assert start("x = 4", "", response, on_ambiguous="miss") == 1
    assert start("x = 4", " \n", response, on_ambiguous="miss") == 1


def test_digits_that_are_both_a_step_and_the_text_before(start):
    # "2" stands before the second "+ 1"; line 2 holds the third. The readings contradict each other.
    response = "9 + 1\n2 + 1\n7 + 1"
    assert start("+ 1", "2", response, on_ambiguous="miss") == "ambiguous"
    assert start("+ 1", "2", response) == 2
    # Line 1 holds the one after "2", and nothing stands against it.
    assert start("+ 1", "1", response) == 8
    assert start("+ 1", "7", response, on_ambiguous="miss") == 14


def test_a_line_that_holds_the_quote_twice(start):
    response = "5 = 5\n3 = 5 and 4 = 5"
    assert start("= 5", "1", response) == 8
    assert start("= 5", "1", response, on_ambiguous="miss") == "ambiguous"


def test_a_few_characters_that_agree_decide_nothing(start):
    response = "Tom: x = 4\nso x = 4\nHence it is clear x = 4"
    assert start("x = 4", "Ann: ", response, on_ambiguous="miss") == "ambiguous"
    assert start("x = 4", "as it is clear ", response, on_ambiguous="miss") == 38  # nine do


def test_normalized_quotes_have_hints_too(start):
    assert start("X  =  4", "Anna: ") == SECOND
    assert start("X  =  4") == FIRST


def test_one_occurrence_needs_no_hint(start):
    assert start("4 + 4 = 8", "nothing of the kind") == RESPONSE.index("4 + 4")


def test_an_ellipsis_means_the_closest_beginning_unless_the_hint_says_otherwise(start):
    response = "Go: he has 1 pen. Yes, he has 2 pens and 3 caps."
    assert start("he has ... 3 caps", response=response) == 23
    assert start("he has ... 3 caps", "Go:", response) == 4


def test_a_solution_that_goes_round_in_circles_is_fast(characters):
    tokenizer, ids = characters
    response = "We get x = 4. " * 5000
    hint = response[: 14 * 4000 + 7]
    assert Aligner(tokenizer).map(ids(response), "x = 4", hint).start == 14 * 4000 + 7
