"""Small tokenizers of four kinds, trained on any text, so that a benchmark needs no download."""

import json
from collections.abc import Callable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIALS = ["<pad>", "</s>", "<unk>"]
_BYTES = [f"<0x{b:02X}>" for b in range(256)]
_SPLIT = r"'(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(texts: Sequence[str], digits: int, size: int = 3000) -> Tokenizer:
    """Byte-level BPE with at most so many digits a token: 1 as in Qwen and SmolLM, 3 as in Llama 3."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_SPLIT % digits), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=SPECIALS, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def sentencepiece_bpe(texts: Sequence[str], size: int = 3000) -> Tokenizer:
    """BPE over text with ▁ for spaces, bytes for unknown characters, as in Llama 2 and Gemma."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    # Training sees words so that it stays short; encoding sees the whole text, as the originals do.
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", behavior="merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIALS + _BYTES, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return _with_plain_bytes(tokenizer)


def unigram(texts: Sequence[str], size: int = 3000) -> Tokenizer:
    """Unigram with ▁ for spaces and bytes for unknown characters, as in T5."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIALS + _BYTES, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    pieces = tokenizer.model.__getstate__()

    state = json.loads(pieces)
    vocab = [(piece, score) for piece, score in state["vocab"]]
    tokenizer.model = models.Unigram(vocab, SPECIALS.index("<unk>"), True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return _with_plain_bytes(tokenizer)


def _with_plain_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """Make the byte tokens ordinary again: the trainers know only special tokens as extra ones."""

    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] in SPECIALS]
    return Tokenizer.from_str(json.dumps(state))


KINDS: dict[str, Callable[[Sequence[str]], Tokenizer]] = {
    "byte-level BPE, single digits": lambda texts: byte_level(texts, digits=1),
    "byte-level BPE, digit groups": lambda texts: byte_level(texts, digits=3),
    "SentencePiece BPE, byte fallback": sentencepiece_bpe,
    "Unigram, byte fallback": unigram,
}
