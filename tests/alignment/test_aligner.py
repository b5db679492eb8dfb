"""The room's door: arguments, results, and what holds for any input."""

import inspect
import random

import pytest
from _gold import Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cal_grpo.alignment import Aligner, Miss, TokenSpan, char_spans_to_tokens, decode, map_segment_to_token_indices
from cal_grpo.alignment.folding import fold, is_visible
from cal_grpo.errors import UsageError


def inner(tokenizer):
    return getattr(tokenizer, "backend_tokenizer", tokenizer)


def test_positional_and_keyword_arguments_mean_the_same(bytewise):
    tokenizer = bytewise("Ġ5", "Ġ+", "Ġ=")
    ids = [0, 1, 0, 2, 0]  # " 5 + 5 = 5"
    assert map_segment_to_token_indices(ids, "5", tokenizer, 64, "5 +") == TokenSpan(2, 3, 5, 6, "exact", 1.0)
    by_name = map_segment_to_token_indices(token_ids=ids, segment="5", tokenizer=tokenizer, max_span_tokens=64, hint="5 +")
    assert by_name == TokenSpan(2, 3, 5, 6, "exact", 1.0)
    assert map_segment_to_token_indices(ids, "5", tokenizer, on_ambiguous="miss") == Miss(
        "ambiguous", "the quote occurs 3 times and the hint None does not decide"
    )
    signature = inspect.signature(map_segment_to_token_indices)
    assert list(signature.parameters)[:5] == ["token_ids", "segment", "tokenizer", "max_span_tokens", "hint"]
    assert signature.parameters["max_span_tokens"].default == 64


def test_a_token_that_shares_a_letter_is_blamed_and_one_that_shares_a_space_is_not(bytewise):
    tokenizer = bytewise("so", "Ġ", "Ġ1", "2", ".Ċ")
    ids = [0, 1, 2, 3, 1, 4]  # "so  12 .\n": the quote begins within the third token
    assert map_segment_to_token_indices(ids, "12", tokenizer) == TokenSpan(2, 4, 4, 6, "exact", 1.0)
    assert map_segment_to_token_indices(ids, "12 .", tokenizer) == TokenSpan(2, 6, 4, 8, "exact", 1.0)


@pytest.mark.parametrize(
    ("quote", "reason"),
    [("", "empty"), (" \n\t", "empty"), ("…", "junk"), ("+ =", "junk"), ("🍎", "junk"), ("pear", "not_found")],
)
def test_quotes_that_are_none(bytewise, quote, reason):
    got = map_segment_to_token_indices([0, 1], quote, bytewise("an", "Ġapple"))
    assert isinstance(got, Miss)
    assert got.reason == reason
    assert got.detail


def test_an_empty_response(bytewise):
    tokenizer = bytewise("Ġ", "a")
    for ids in ([], [0, 0]):
        assert map_segment_to_token_indices(ids, "a", tokenizer).reason == "empty"


def test_a_span_may_be_as_long_as_the_limit_and_no_longer(bytewise):
    tokenizer = bytewise("aĠ")
    quote = "a a a"
    assert map_segment_to_token_indices([0] * 3, quote, tokenizer, 3).end == 3
    got = map_segment_to_token_indices([0] * 3, quote, tokenizer, 2)
    assert got == Miss("too_long", "3 tokens; at most 2 are blamed")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_span_tokens": 0}, "got max_span_tokens=0; expected at least 1"),
        ({"threshold": 1.5}, "got threshold=1.5; expected 0 to 1"),
        ({"on_ambiguous": "last"}, "expected 'first' or 'miss'"),
    ],
)
def test_settings_out_of_range_are_one_line(bytewise, settings, message):
    with pytest.raises(UsageError, match=message) as error:
        Aligner(bytewise("a"), **settings)
    assert "\n" not in str(error.value)


def test_a_batch_is_every_quote_on_every_response(bytewise):
    tokenizer = bytewise("one", "Ġtwo", "Ġthree")
    aligner = Aligner(tokenizer)
    got = aligner.map_batch([[0, 1, 2], aligner.decode([1])], [[("two", None), ("TWO three", "one")], [("one", None)]])
    assert got == [
        [TokenSpan(1, 2, 4, 7, "exact", 1.0), TokenSpan(1, 3, 4, 13, "normalized", 1.0)],
        [Miss("not_found", "'one' is not in the response")],
    ]
    with pytest.raises(UsageError, match="got 1 responses and 2 lists of quotes"):
        aligner.map_batch([[0]], [[], []])


def test_several_quotes_share_one_decoding(bytewise, monkeypatch):
    aligner = Aligner(bytewise("one", "Ġtwo"))
    decoded = aligner.decode([0, 1])
    monkeypatch.setattr(aligner, "decode", lambda ids: pytest.fail("decoded again"))
    assert aligner.map(decoded, "one").start == 0
    assert aligner.map(decoded, "TWO").start == 1


def test_character_spans_of_ones_own(bytewise):
    decoded = decode([0, 1], bytewise("one", "Ġtwo"))
    assert char_spans_to_tokens(decoded, [(0, 3), (3, 4), (2, 5)]) == [(0, 1), None, (0, 2)]


def test_the_table_is_built_once(bytewise):
    from cal_grpo.alignment.table import token_table

    tokenizer = bytewise("a", "b")
    built = token_table.cache_info().misses
    for _ in range(3):
        assert map_segment_to_token_indices([0, 1], "ab", tokenizer).end == 2
    assert token_table.cache_info().misses == built + 1


def test_padding_and_end_of_text_are_in_nobodys_way(bytewise):
    tokenizer = bytewise("Ġ6", "Ġ*", "Ġ7", special=["<eos>", "<pad>"])
    ids = [4, 4, 0, 1, 2, 3, 4, 4]
    assert map_segment_to_token_indices(ids, "6 * 7", tokenizer) == TokenSpan(2, 5, 11, 16, "exact", 1.0)
    assert map_segment_to_token_indices(ids, "6×7", tokenizer) == TokenSpan(2, 5, 11, 16, "normalized", 1.0)


def test_any_segmentation_of_one_text_blames_the_same_characters(lossless):
    text = "He paid 12 * 3 = $36 for “pens” 🍎.\nThen 36 + 5 = 41 were left."
    bench = Bench("", inner(lossless))
    whole = bench.encode(text)
    pieces = bench.resegmented(whole, random.Random(0))
    assert len(pieces) > len(whole)
    for quote in ("12 * 3 = $36", "36 + 5 = 41 were", "“pens” 🍎."):
        for ids in (whole, pieces):
            decoded = decode(ids, lossless)
            assert decoded.text == text
            got = map_segment_to_token_indices(ids, quote, lossless, 200)
            at = text.index(quote)
            assert (got.char_start, got.char_end, got.method) == (at, at + len(quote), "exact")
            touching = [
                t
                for t in range(len(ids))
                if any(map(is_visible, text[max(at, decoded.starts_T[t]) : min(at + len(quote), decoded.ends_T[t])]))
            ]
            assert (got.start, got.end) == (touching[0], touching[-1] + 1)


words = st.sampled_from(["she", "has", "5", "12", "+", "=", "*", "apples", "-", "…", "<<1+1=2>>", "\\frac{", "x", "\n"])
texts = st.text(max_size=30) | st.lists(words).map(" ".join)
lines_of_text = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(response=texts, quote=texts, hint=st.none() | texts, size=st.integers(1, 40))
def test_any_quote_on_any_text_is_a_span_inside_or_a_miss(any_kind, response, quote, hint, size):
    ids = inner(any_kind).encode(response).ids
    decoded = decode(ids, any_kind)
    got = Aligner(any_kind, max_span_tokens=size).map(decoded, quote, hint)
    if isinstance(got, Miss):
        assert got.reason in ("empty", "junk", "not_found", "ambiguous", "too_long")
        return
    assert 0 <= got.start < got.end <= len(ids)
    assert 0 <= got.char_start < got.char_end <= len(decoded.text)
    assert got.end - got.start <= size
    assert 0 <= got.score <= 1
    if got.method == "exact":
        assert decoded.text[got.char_start : got.char_end] == quote.strip()
    for t in (got.start, got.end - 1):  # both ends of the span share something visible with the quote
        shared = decoded.text[max(got.char_start, decoded.starts_T[t]) : min(got.char_end, decoded.ends_T[t])]
        assert any(map(is_visible, shared))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_lines_of_any_text_are_found_where_they_are(lossless, data):
    lines = data.draw(lines_of_text)
    text = "\n".join(lines)
    ids = inner(lossless).encode(text, add_special_tokens=False).ids
    decoded = decode(ids, lossless)
    number = data.draw(st.integers(0, len(lines) - 1))
    quote = lines[number].strip()
    got = Aligner(lossless, max_span_tokens=1000).map(decoded, quote)
    if decoded.text.count(quote) == 1 and any(c.isalnum() for c in quote):
        at = decoded.text.index(quote)
        assert (got.char_start, got.char_end, got.method) == (at, at + len(quote), "exact")


@given(text=st.text())
def test_folding_keeps_the_way_back(text):
    folded, origin = fold(text)
    assert len(folded) == len(origin)
    assert list(origin) == sorted(origin)
    assert all(0 <= i < len(text) for i in origin)
    assert fold(folded)[0] == folded


def test_folding_by_hand():
    assert fold("Ａ×B−“É”½²™") == ('a×b-"e" 1/2^2tm', [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 8, 8, 9, 9])
    assert fold("ABC") == ("abc", range(3))
    assert [c for c in "a \n\u00a0\u200b\u0301×\ufffd" if is_visible(c)] == ["a", "\u0301", "×", "\ufffd"]
