"""Tokenizers of every kind, built in milliseconds: by hand, where a test counts on the ids, or trained on a few lines."""

import json
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import GemmaTokenizer, LlamaTokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer, T5Tokenizer

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from _tokenizers import byte_level, sentencepiece_bpe, unigram  # noqa: E402

TEXTS = [
    "Natalia sold 48/2 = 24 clips in May.\nShe sold 48 + 24 = <<48+24=72>>72 clips altogether.\n\nStep 2: 3 × 4 − 1 = 11",
    "Weng earns “12/60 = $0.2” per minute… so she’s paid 0.2 x 50 = $10. Größe, naïve café, 数学 🍎👩‍👩‍👧.",
] * 2


def _model(tokenizer):
    return json.loads(tokenizer.to_str())["model"]


def _merges(model):
    return [tuple(pair) for pair in model["merges"]]


def _word_piece():
    words = ["[UNK]", "[CLS]", "she", "has", "5", "app", "##les", ".", ",", "don", "'", "t", "<pad>"]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[CLS]", "<pad>"])
    return tokenizer


def _every_kind():
    qwen, pieces, grams = _model(byte_level(TEXTS, 1, 420)), _model(sentencepiece_bpe(TEXTS, 420)), _model(unigram(TEXTS, 330))
    llama_3 = byte_level(TEXTS, 3, 420)
    llama_3.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>"])
    return {
        "Qwen": Qwen2Tokenizer(vocab=qwen["vocab"], merges=_merges(qwen)),
        "Llama 3": PreTrainedTokenizerFast(tokenizer_object=llama_3, eos_token="<|eot_id|>"),
        "Llama 2": LlamaTokenizer(vocab=pieces["vocab"], merges=_merges(pieces)),
        "Gemma": GemmaTokenizer(vocab=pieces["vocab"], merges=_merges(pieces)),
        "T5": T5Tokenizer(vocab=[tuple(v) for v in grams["vocab"]]),
        "Unigram with byte fallback": PreTrainedTokenizerFast(tokenizer_object=unigram(TEXTS, 330)),
        "the embedded policy": Tokenizer.from_file(str(ROOT / "src/cal_grpo/policies/ledger-tiny/tokenizer.json")),
        "WordPiece": PreTrainedTokenizerFast(tokenizer_object=_word_piece()),
    }


_KINDS = _every_kind()


@pytest.fixture(scope="session", params=list(_KINDS))
def any_kind(request):
    """A tokenizer as a trainer has it."""
    return _KINDS[request.param]


@pytest.fixture(scope="session", params=[name for name in _KINDS if name not in ("T5", "WordPiece")])
def lossless(request):
    """A tokenizer that can spell any text."""
    return _KINDS[request.param]


@pytest.fixture(scope="session")
def bytewise():
    """Byte-level BPE whose ids are the given tokens, in order; special tokens last."""

    def build(*tokens, special=()):
        tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, []))
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(list(special))
        return tokenizer

    return build


@pytest.fixture(scope="session")
def sentencepiece():
    """SentencePiece BPE with byte fallback whose ids are the given tokens; ``strip`` as in Llama 2, without as in Gemma."""

    def build(*tokens, strip=True):
        tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, [], byte_fallback=True))
        stages = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        tokenizer.decoder = decoders.Sequence([*stages, decoders.Strip(" ", 1, 0)] if strip else stages)
        return tokenizer

    return build


@pytest.fixture(scope="session")
def characters():
    """One token a character, so that token indices are character offsets: printable ASCII and some more."""
    alphabet = [chr(c) for c in range(0x20, 0x7F)] + list("\n\t\u00a0×−÷·‘’“”«»…•½²é")
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    tokenizer.decoder = decoders.Fuse()

    def ids(text):
        return [alphabet.index(c) for c in text]

    return tokenizer, ids
