"""Quotes as judges return them. One token a character, so that a span's tokens are the characters it covers."""

import pytest

from cal_grpo.alignment import Aligner, Miss, TokenSpan


@pytest.fixture
def found(characters):
    """What of the response a quote is mapped to, and how; or the reason why it is not."""
    tokenizer, ids = characters

    def find(response, quote, hint=None, **settings):
        got = Aligner(tokenizer, max_span_tokens=1000, **settings).map(ids(response), quote, hint)
        return got.reason if isinstance(got, Miss) else (response[got.start : got.end], got.method)

    return find


RESPONSE = "Tom has 5 boxes.\nEach box holds 12 * 3 = 36 pens, so he's got 5 * 36 = 180 pens.\nA: 180"
LINE = "Each box holds 12 * 3 = 36 pens, so he's got 5 * 36 = 180 pens."


def test_verbatim(found):
    assert found(RESPONSE, LINE) == (LINE, "exact")
    assert found(RESPONSE, "12 * 3 = 36") == ("12 * 3 = 36", "exact")


def test_white_space_around_a_quote_is_not_part_of_it(characters):
    tokenizer, ids = characters
    got = Aligner(tokenizer).map(ids("a  5\n b"), " 5\n ")
    assert got == TokenSpan(3, 4, 3, 4, "exact", 1.0)


@pytest.mark.parametrize(
    ("quote", "covered"),
    [
        ("EACH BOX HOLDS 12 * 3 = 36 PENS", "Each box holds 12 * 3 = 36 pens"),
        ("each  box\nholds\t12 *\u00a03 = 36 pens", "Each box holds 12 * 3 = 36 pens"),
        ("Each box holds 12*3=36 pens", "Each box holds 12 * 3 = 36 pens"),
        ("so he’s got 5", "so he's got 5"),
        ("so he‘s got 5", "so he's got 5"),
        ("holds 12 × 3 = 36", "holds 12 * 3 = 36"),
        ("holds 12 x 3 = 36", "holds 12 * 3 = 36"),
        (r"holds $12 \times 3 = 36$ pens", "holds 12 * 3 = 36 pens"),
        (r"holds \(12 \cdot 3 = \boxed{36}\) pens", "holds 12 * 3 = 36 pens"),
        ("- Each **box** holds `12 * 3` = _36_ pens", "Each box holds 12 * 3 = 36 pens"),
        ("## Each box holds 12 * 3 = 36 pens", "Each box holds 12 * 3 = 36 pens"),
        ("> Each box holds 12 * 3", "Each box holds 12 * 3"),
        ('"Each box holds 12 * 3 = 36"', "Each box holds 12 * 3 = 36"),
        ("“Each box holds 12 * 3 = 36”", "Each box holds 12 * 3 = 36"),
        ("'Each box holds 12 * 3 = 36'", "Each box holds 12 * 3 = 36"),
        ("«Each box holds 12 * 3 = 36»", "Each box holds 12 * 3 = 36"),
        ("Each box holds 12 * 3 = 36 pens.", "Each box holds 12 * 3 = 36 pens"),
        ("5 * 36 = 180 pens", "5 * 36 = 180 pens"),
        ("Each box ... 5 * 36 = 180 pens.", LINE),
        ("Each box … = 180 pens", LINE[:-1]),
        ("Each box [...] so he's got 5", "Each box holds 12 * 3 = 36 pens, so he's got 5"),
        ("Step 2: Each box holds 12 * 3 = 36 pens", "Each box holds 12 * 3 = 36 pens"),
        ("**Step 2:** Each box holds 12 * 3 = 36 pens", "Each box holds 12 * 3 = 36 pens"),
        ("2. Each box holds 12 * 3 = 36 pens", "Each box holds 12 * 3 = 36 pens"),
        ("(2) Each box holds 12 * 3 = 36 pens", "Each box holds 12 * 3 = 36 pens"),
    ],
)
def test_other_spellings_are_the_same_quote(found, quote, covered):
    text, method = found(RESPONSE, quote)
    assert text == covered
    assert method == ("exact" if quote in RESPONSE else "normalized")


@pytest.mark.parametrize(
    ("response", "quote", "covered"),
    [
        ("So 16 ÷ 4 − 1 = 3.", "16 / 4 - 1 = 3", "16 ÷ 4 − 1 = 3"),
        (r"So $\frac{16}{4} \times 2 = 8$.", "16/4 * 2 = 8", r"16}{4} \times 2 = 8"),
        (r"It is \text{total} = \$5\% of it", "total = $5% of it", r"total} = \$5\% of it"),
        ("The **total** is `36`.", "the total is 36.", "The **total** is `36`."),
        ("She paid 2*3 = $<<2*3=6>>6 in all", "She paid 2*3 = $6 in all", "She paid 2*3 = $<<2*3=6>>6 in all"),
        ("It is 4 + 4 = <<4+4=8>>8.", "= 8", "= <<4+4=8>>8"),
        ("1. He has 5 pens.\n2. She has 7 more.", "He has 5 pens. She has 7 more.", "He has 5 pens.\n2. She has 7 more."),
        ("- He has 5 pens\n- She has 7", "he has 5 pens she has 7", "He has 5 pens\n- She has 7"),
        ("Step 1: He has 5\nStep 2: She has 7", "he has 5\nshe has 7", "He has 5\nStep 2: She has 7"),
        ("It costs 1,250.50 today", "it costs 1250.50 TODAY", "It costs 1,250.50 today"),
        ("Half is 1½ cups of it", "half is 1 1/2 cups", "Half is 1½ cups"),
        ("So x² + 1 = 5 here", "so x^2 + 1 = 5", "So x² + 1 = 5"),
        ("8 apples\n- 5 apples = 3", "8 apples - 5 apples = 3", "8 apples\n- 5 apples = 3"),
        ("The sum (of both) is 12!", "the sum of both is 12", "The sum (of both) is 12"),
    ],
)
def test_the_response_may_be_the_one_with_mark_up(found, response, quote, covered):
    assert found(response, quote) == (covered, "normalized")


@pytest.mark.parametrize(
    ("quote", "covered"),
    [
        # A word dropped, changed, added, and a paraphrase: from the first to the last word that is there.
        ("Each box holds 12 * 3 = 36, so he's got 5 * 36 = 180 pens", LINE[:-1]),
        ("Each carton holds 12 * 3 = 36 pens, so he's got 5 * 36 = 180 pens.", LINE),
        ("Every box holds 12 * 3 = 36 pens, so he's got 5 * 36 = 180 pens.", LINE[len("Each ") :]),
        ("Each single box holds 12 * 3 = 36 pens, so he's got 5 * 36 = 180 pens.", LINE),
        ("Each box contains 12 * 3 = 36 pens, thus he's got 5 * 36 = 180 pencils", LINE[: -len(" pens.")]),
    ],
)
def test_words_may_differ(found, quote, covered):
    assert found(RESPONSE, quote) == (covered, "fuzzy")


@pytest.mark.parametrize(
    "quote",
    [
        "Each box holds 12 * 4 = 36 pens, so he's got 5 * 36 = 180 pens.",
        "Each box holds 12 * 3 = 36 pens, so he's got 5 * 36 = 1800 pens.",
        "Each box holds 12 + 3 = 36 pens, so he's got 5 * 36 = 180 pens.",
        "Each box holds 12 * 3 = 36 pens, so he's got 5 / 36 = 180 pens.",
        "Each box holds 12 * 3 = 36 pens, so he's got twelve 5 * 36 = 180 pens.",
        "12 * 3 = 3",
        "A: 18",
        "A: 80",
        "1",
        "2 * 3 = 36",
        "12 * 3 = 36 %",
    ],
)
def test_a_changed_number_or_operator_is_a_miss(found, quote):
    assert found(RESPONSE, quote) == "not_found"


def test_a_changed_number_word_or_comparison_is_a_miss(found):
    response = "She has three times as many apples as Bob does in the evening"
    assert found(response, response.replace("three", "four")) == "not_found"
    response = "Anna has less money than her big brother Tom had on Monday"
    assert found(response, response.replace("less", "more")) == "not_found"
    assert found(response, response.replace("big", "older")) == (response, "fuzzy")


def test_a_number_that_moved_is_a_miss(found):
    assert found("5 she had a red big bag", "she had 5 a red big bag") == "not_found"


def test_words_that_happen_to_be_further_out_are_not_part_of_it(found):
    # "the" is five words before "total" here, and next to it in the quote; the first "pens" is the nearer one.
    assert found("the warm evening came his total is 5 pens", "so the total is 5 pens") == ("total is 5 pens", "fuzzy")
    response, quote = "anna bought some nice nice pens with pens", "anna bought some nice red pens"
    assert found(response, quote) == ("anna bought some nice nice pens", "fuzzy")


def test_the_parts_around_an_ellipsis_stand_in_order(found):
    assert found("He has 3 caps, and she has 2 pens", "2 pens ... 3 caps") == "not_found"
    assert found("He has 3 caps, and she has 2 pens", "3 caps ... 2 pens") == ("3 caps, and she has 2 pens", "normalized")


def test_a_sign_that_opens_a_quote_is_no_bullet(found):
    response = "He has 5 - 3 = 8 of them"
    assert found(response, "- 3 = 8") == ("- 3 = 8", "exact")
    assert found(response, "-  3 = 8") == ("- 3 = 8", "normalized")
    for changed in ("+ 3 = 8", "* 3 = 8", "× 3 = 8", "- 5 - 3 = 8"):
        assert found(response, changed) == "not_found"
    assert found("Sums:\n- 3 = 8 of them", "3 = 8  of") == ("3 = 8 of", "normalized")


def test_a_number_before_a_full_stop_is_no_step(found):
    # "4." opens the quote as a step's number would; it is what the line before says.
    response = "She gets 4. Then he has 5 apples."
    assert found(response, "4. then he has 5 apples") == ("4. Then he has 5 apples", "normalized")
    assert found(response, "3. then he has 5 apples") == "not_found"


def test_short_quotes_keep_their_punctuation(found):
    assert found("a $80 watch\nA: 100", "A: 80") == "not_found"
    assert found("a $80 watch\nA: 80", "a:  80") == ("A: 80", "normalized")


def test_part_of_a_word_or_number_is_not_the_quote(found):
    assert found("The scarf costs 15", "car") == "not_found"
    assert found("He saw 1,234.5 cars", "234.5 cars") == "not_found"
    assert found("He saw 1,234.5 cars", "1,234") == "not_found"
    assert found("15 cars, 5 cars", "5 cars") == ("5 cars", "exact")


def test_text_of_a_special_token_is_not_quoted_in_part(bytewise):
    tokenizer = bytewise("Ġthe", "Ġend", "Ġ<", "end", ">", special=["<end>"])
    aligner = Aligner(tokenizer)
    assert aligner.map([0, 5, 1], "end") == TokenSpan(2, 3, 10, 13, "exact", 1.0)  # " the<end> end"
    assert isinstance(aligner.map([0, 5], "END"), Miss)
    assert aligner.map([0, 5, 1], "the end") == TokenSpan(0, 3, 1, 13, "normalized", 1.0)
    assert aligner.map([0, 5, 1], "<end>") == TokenSpan(1, 2, 4, 9, "exact", 1.0)
    assert aligner.map([0, 2, 3, 4], "<end>") == TokenSpan(1, 4, 5, 10, "exact", 1.0)


def test_nothing_below_the_threshold(found):
    quote = "Every carton contains 12 * 3 = 36 pencils, hence he had 5 * 36 = 180 pencils"
    assert found(RESPONSE, quote) == "not_found"
    assert found(RESPONSE, quote, threshold=0.5)[1] == "fuzzy"
    assert found(RESPONSE, "Something entirely different was said about it") == "not_found"


def test_two_passages_alike_are_ambiguous(found):
    response = "The red car was parked in front of the big house.\nThe red van was parked in front of the big house."
    quote = "The red bus was parked in front of the big house."
    assert found(response, quote) == "ambiguous"
    # A hint tells which.
    assert found(response, quote, "front of the big house.\n") == (response.split("\n")[1], "fuzzy")


def test_equal_passages_are_repetitions(found):
    line = "The red car was parked in front of the big house."
    quote = line.replace("car", "bus")
    assert found(f"{line}\nAnd again:\n{line}", quote) == (line, "fuzzy")
    assert found(f"{line}\nAnd again:\n{line}", quote, on_ambiguous="miss") == "ambiguous"


def test_the_same_numbers_everywhere_are_ambiguous(found):
    assert found("1 " * 3000, "1 and 1 or " * 10) == "ambiguous"


def test_scripts_without_spaces_and_vowel_signs(characters):
    from cal_grpo.alignment.atoms import Atoms

    def words(text):
        return [a.text for a in Atoms.scan(text).items]

    assert words("数学Ab 3") == ["数", "学", "ab", "3"]
    assert words("कि का") == ["कि", "का"]  # the vowel signs tell them apart
    assert words("Café au lait") == words("cafe\u0301 AU LAIT") == ["cafe", "au", "lait"]
    # The accent that folding drops is part of the word's characters.
    assert [(a.start, a.end) for a in Atoms.scan("cafe\u0301 au").items] == [(0, 5), (6, 8)]
