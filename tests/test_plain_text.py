"""Text of others as a policy's ids: the spelling that it would have sampled, and no token that means something else."""

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from cal_grpo.engines.reading import PlainText
from cal_grpo.policies import EMBEDDED


def sentencepiece():
    """A Llama 2 in small: a space in front of whatever is encoded, bytes for what it has no piece for."""
    pieces = ["<unk>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *"▁0123456789+=#"]
    tokenizer = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(pieces)}, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")


def test_sentencepiece_puts_no_space_in_front_of_what_goes_on():
    tokenizer = sentencepiece()
    inner = tokenizer.backend_tokenizer
    before, after = inner.encode("3+4=7\n").ids, PlainText(tokenizer).continuing("7+2=9\n#### 9")
    assert [*before, *after] == inner.encode("3+4=7\n7+2=9\n#### 9").ids
    assert inner.decode([*before, *after]) == "3+4=7\n7+2=9\n#### 9"
    assert PlainText(tokenizer).ids("7+2=9")[0] == inner.encode(" ").ids[0]  # as a text of its own begins


@pytest.mark.parametrize("text", ["7+2=9\n#### 9", "\n\n7", "  7", "\ta\r\n", "é☃\x00", ""])
def test_byte_level_text_goes_on_as_it_is(text):
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    assert tokenizer.decode(PlainText(tokenizer).continuing(text)) == text


def test_added_tokens_that_are_white_space_are_text():
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("<b>", normalized=False)])
    plain = PlainText(tokenizer)
    assert plain.ids("1\n\n2") == tokenizer.encode("1\n\n2", add_special_tokens=False)
    assert tokenizer.convert_tokens_to_ids("\n\n") in plain.ids("1\n\n2")
    assert tokenizer.convert_tokens_to_ids("<b>") not in plain.ids("1<b>2")
    assert plain.continuing("1<b>2") is None
