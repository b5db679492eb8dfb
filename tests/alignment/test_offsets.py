"""The characters of each sampled token."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from cal_grpo.alignment import decode
from cal_grpo.alignment.utf8 import byte_level_alphabet, characters
from cal_grpo.errors import UsageError


def spans(decoded):
    return list(zip(decoded.starts_T.tolist(), decoded.ends_T.tolist(), strict=True))


def test_bytes_of_one_character_share_it(bytewise):
    # é is C3 A9, which byte-level BPE writes Ã and ©; the middle token ends in the first half of it.
    tokenizer = bytewise("c", "afÃ", "©", "Ġau")
    decoded = decode([0, 1, 2, 3], tokenizer)
    assert decoded.text == "café au"
    assert spans(decoded) == [(0, 1), (1, 4), (3, 4), (4, 7)]


def test_four_bytes_one_character_four_tokens(bytewise):
    # 🍎 is F0 9F 8D 8E.
    tokenizer = bytewise("ð", "Ł", "į", "İ", "!")
    decoded = decode([0, 1, 2, 3, 4], tokenizer)
    assert decoded.text == "🍎!"
    assert spans(decoded) == [(0, 1), (0, 1), (0, 1), (0, 1), (1, 2)]
    assert decoded.tokens(0, 1) == (0, 4)


def test_an_incomplete_character_at_the_end_is_one_replacement_character(bytewise):
    # The first three of four bytes: one U+FFFD for them all, as in Rust's lossy decoding.
    tokenizer = bytewise("5", "ð", "Ł", "į")
    decoded = decode([0, 1, 2, 3], tokenizer)
    assert decoded.text == "5\ufffd"
    assert spans(decoded) == [(0, 1), (1, 2), (1, 2), (1, 2)]


def test_a_continuation_byte_without_a_beginning_stands_alone(bytewise):
    tokenizer = bytewise("©", "a")
    decoded = decode([1, 0, 0, 1], tokenizer)
    assert decoded.text == "a\ufffd\ufffda"
    assert spans(decoded) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_ids_that_are_not_canonical_get_the_same_characters(bytewise):
    tokenizer = bytewise("12", "1", "2", "Ġ=", "Ġ", "=")
    assert spans(decode([0, 3], tokenizer)) == [(0, 2), (2, 4)]
    assert spans(decode([1, 2, 4, 5], tokenizer)) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_special_tokens_are_part_of_the_text_but_no_quote_holds_part_of_one(bytewise):
    tokenizer = bytewise("He", "Ġhas", special=["<|im_end|>", "<pad>"])
    decoded = decode([0, 2, 1, 3, 3], tokenizer)
    assert decoded.text == "He<|im_end|> has<pad><pad>"
    assert spans(decoded) == [(0, 2), (2, 12), (12, 16), (16, 21), (21, 26)]
    assert decoded.special_T.tolist() == [False, True, False, True, True]
    assert [at for at in range(27) if decoded.is_inside_special(at)] == [*range(3, 12), *range(17, 21), *range(22, 26)]


def test_the_leading_space_that_llama_2_takes_off(sentencepiece):
    tokenizer = sentencepiece("▁He", "▁has", "▁", "He")
    decoded = decode([0, 1], tokenizer)
    assert (decoded.text, spans(decoded)) == ("He has", [(0, 2), (2, 6)])
    # The space is a token of its own, which then adds nothing; only one space is taken off.
    assert spans(decode([2, 3], tokenizer)) == [(0, 0), (0, 2)]
    assert (decode([2, 0], tokenizer).text, spans(decode([2, 0], tokenizer))) == (" He", [(0, 0), (0, 3)])


def test_gemma_keeps_the_leading_space(sentencepiece):
    decoded = decode([0, 1], sentencepiece("▁He", "▁has", strip=False))
    assert (decoded.text, spans(decoded)) == (" He has", [(0, 3), (3, 7)])


def test_byte_fallback_joins_bytes_and_gives_up_on_the_whole_run(sentencepiece):
    tokenizer = sentencepiece("<0xC3>", "<0xA9>", "x", strip=False)
    assert decode([0, 1, 2], tokenizer).text == "éx"
    assert spans(decode([0, 1, 2], tokenizer)) == [(0, 1), (0, 1), (1, 2)]
    # é and half a character more: not UTF-8, so three replacement characters.
    assert decode([0, 1, 0], tokenizer).text == "\ufffd\ufffd\ufffd"
    assert spans(decode([0, 1, 0], tokenizer)) == [(0, 1), (1, 2), (2, 3)]


def test_unigram_drops_the_mark_of_the_first_token_wherever_it_stands():
    tokenizer = Tokenizer(models.Unigram([("▁He▁", 0.0), ("▁has", 0.0)], 0, False))
    tokenizer.decoder = decoders.Metaspace()
    decoded = decode([0, 1, 0], tokenizer)
    assert (decoded.text, spans(decoded)) == ("He has He ", [(0, 2), (2, 6), (6, 10)])


def test_bytes_that_spell_sentencepieces_own_mark():
    # ▁ is E2 96 81. Metaspace comes after byte fallback here and makes a space of it, which no table of pieces knows.
    tokenizer = Tokenizer(models.BPE({"a": 0, "<0xE2>": 1, "<0x96>": 2, "<0x81>": 3}, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    decoded = decode([0, 1, 2, 3, 0], tokenizer)
    assert decoded.text == "a a"
    assert decoded.tokens(2, 3) == (4, 5)


def test_ids_outside_the_vocabulary_are_empty(bytewise):
    decoded = decode([9, 0, 9, 1, 10**6], bytewise("a", "b"))
    assert (decoded.text, spans(decoded)) == ("ab", [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)])
    assert decoded.tokens(0, 2) == (1, 4)


def test_an_unknown_id_within_a_character_does_not_split_it(bytewise):
    decoded = decode([0, 9, 1], bytewise("Ã", "©"))
    assert (decoded.text, spans(decoded)) == ("é", [(0, 1), (0, 1), (0, 1)])


def test_tokens_added_after_the_first_call_are_known(bytewise):
    tokenizer = bytewise("a")
    assert decode([0, 1], tokenizer).text == "a"
    tokenizer.add_special_tokens(["<end>"])
    decoded = decode([0, 1], tokenizer)
    assert (decoded.text, spans(decoded), decoded.special_T.tolist()) == ("a<end>", [(0, 1), (1, 6)], [False, True])


def test_no_ids_no_text(bytewise):
    decoded = decode([], bytewise("a"))
    assert (decoded.text, len(decoded), decoded.tokens(0, 0)) == ("", 0, None)


def test_tokens_of_white_space_are_not_blamed(bytewise):
    tokenizer = bytewise("a", "Ġ", "Ġb", "ĊĊ", "\u00c2\u0142")  # the last is a no-break space
    decoded = decode([0, 1, 2, 3, 4, 0], tokenizer)
    assert decoded.text == "a  b\n\n\u00a0a"
    assert decoded.tokens(1, 7) == (2, 3)  # only b is visible in it
    assert decoded.tokens(0, 4) == (0, 3)
    assert decoded.tokens(1, 2) is None
    assert decoded.tokens(2, 8) == (2, 6)  # what stands between is included


def test_characters_beyond_the_text_are_refused(bytewise):
    for span in ((0, 2), (-1, 1), (1, 0)):
        with pytest.raises(UsageError, match="of a text of 1"):
            decode([0], bytewise("a")).tokens(*span)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([-100], "remove masks"),
        ([2**40], r"0 <= id < 2\*\*31"),
        ([[1, 2]], r"shape \(1, 2\)"),
        ([[1], [1, 2]], "flat list"),
        ([1.5], "float64"),
        (["1"], "flat list"),
        (7, r"shape \(\)"),
    ],
)
def test_ids_that_are_none_are_one_line(bytewise, ids, message):
    with pytest.raises(UsageError, match=message) as error:
        decode(ids, bytewise("a"))
    assert "\n" not in str(error.value)


def test_another_kind_of_tokenizer_is_refused():
    with pytest.raises(UsageError, match=r"cannot align with a dict; expected .* use_fast=True"):
        decode([1], {"a": 1})


def test_arrays_are_ids_too(bytewise):
    tokenizer = bytewise("a", "b")
    for ids in (np.array([0, 1]), np.array([0, 1], np.uint16), (0, 1)):
        assert decode(ids, tokenizer).text == "ab"


@given(data=st.binary(max_size=12) | st.text(max_size=4).map(lambda t: t.encode("utf-8", "replace")))
def test_bytes_decode_as_the_tokenizers_do(data):
    text, owners = characters(data, all_or_nothing=False)
    # One token a byte: byte-level BPE's own decoder is the reference, and the parts of each character are its bytes.
    alphabet = {b: c for c, b in byte_level_alphabet().items()}
    assert text == decoders.ByteLevel().decode([alphabet[b] for b in data])
    assert len(owners) == len(data)
    assert owners == sorted(owners)
    for i, character in enumerate(text):
        own = bytes(b for b, owner in zip(data, owners, strict=True) if owner == i)
        assert own.decode(errors="replace") == character


def test_ill_formed_stretches_are_the_maximal_ones_of_the_standard():
    # Unicode 16, table 3-8: 61 F1 80 80 E1 80 C2 62 80 63 80 BF 64.
    text, owners = characters(bytes.fromhex("61f18080e180c262806380bf64"), all_or_nothing=False)
    assert text == "a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd"
    assert owners == [0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]


def check(decoded, text, length):
    """What must hold of any offsets: they never decrease, cover the text, and joined they are it."""
    assert decoded.text == text
    assert len(decoded) == length
    starts, ends = decoded.starts_T.tolist(), decoded.ends_T.tolist()
    assert starts == sorted(starts)
    assert ends == sorted(ends)
    assert all(0 <= s <= e <= len(text) for s, e in zip(starts, ends, strict=True))
    joined, done = "", 0
    for start, end in zip(starts, ends, strict=True):
        assert start <= done
        joined += text[max(start, done) : end]
        done = max(done, end)
    assert joined == text


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_ids_decode_to_the_tokenizers_own_text(any_kind, data):
    ids = data.draw(st.lists(st.integers(0, len(any_kind.get_vocab()) + 2), max_size=30))
    if hasattr(any_kind, "backend_tokenizer"):
        text = any_kind.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    else:
        text = any_kind.decode(ids, skip_special_tokens=False)
    check(decode(ids, any_kind), text, len(ids))


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_comes_back(lossless, text):
    inner = getattr(lossless, "backend_tokenizer", lossless)
    ids = inner.encode(text, add_special_tokens=False).ids
    check(decode(ids, lossless), inner.decode(ids, skip_special_tokens=False), len(ids))


def test_the_tables_are_fast_ones(any_kind):
    from cal_grpo.alignment.table import backend, token_table

    is_word_piece = isinstance(backend(any_kind).decoder, decoders.WordPiece)
    assert (token_table(backend(any_kind)) is None) == is_word_piece
