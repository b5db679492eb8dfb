"""A checkpoint's tokenizer, no id of which can be met that the embedding has no row for.

Tunix's embedding gives NaN for such an id, and one in a batch makes the whole policy NaN.
"""

import json
from pathlib import Path
from typing import Any

from cal_grpo.engines.reading.chat import check_template, prompt_ids, render
from cal_grpo.errors import UsageError
from cal_grpo.policies import read_json

# Where an input of another kind goes, by the tokenizer's own names. Gemma 3's text models have one behind the last row.
_PLACEHOLDERS = ("image_token", "audio_token", "video_token")
_ADDED = {"tokenizer.json": "added_tokens", "added_tokens.json": "the token", "tokenizer_config.json": "added_tokens_decoder"}


def load_tokenizer(folder: Path, hf: dict[str, Any], rows: int, system: str | None = None) -> tuple[Any, tuple[int, ...]]:
    """The tokenizer, and the ids that end a completion.

    Args:
        folder: the checkpoint.
        hf: its config.json.
        rows: of the embedding.
        system: the run's system prompt, which a chat template may want.

    Raises:
        UsageError: it is not there or cannot be read, has no end token, an id that has no row, or a chat template that
            does not work.
    """
    if not (folder / "tokenizer.json").exists():
        raise UsageError(f"{folder}: no tokenizer.json; expected a fast tokenizer beside the weights")
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        end = tokenizer.eos_token_id
    except Exception as e:  # whatever the libraries below raise for a damaged file
        why = " ".join(f"{type(e).__name__}: {e}".split())[:200]
        raise UsageError(f"{folder}: the tokenizer cannot be read ({why}); download or convert the folder again") from e
    if end is None:
        raise UsageError(f"{folder}: the tokenizer has no eos_token; name one in tokenizer_config.json")
    _check_ids(folder, tokenizer, rows)
    eos_ids = _eos_ids(folder, hf, end, rows)
    if tokenizer.chat_template:
        check_template(tokenizer, system)
    _pad_apart(tokenizer, eos_ids)
    return tokenizer, eos_ids


def _check_ids(folder: Path, tokenizer: Any, rows: int) -> None:
    """Refuse every token that has no row, for a question's text can spell any; placeholders are taken out, in memory."""
    beyond = {token: i for token, i in tokenizer.get_vocab().items() if i >= rows}
    if not beyond:
        return
    named = {str(token): field for field, token in tokenizer.special_tokens_map.items()}
    refused = {token: i for token, i in beyond.items() if named.get(token) not in _PLACEHOLDERS}
    if not refused:
        _forget(tokenizer, set(beyond))
        return
    token = min(refused, key=lambda token: (token not in named, refused[token]))
    raise UsageError(
        f"{_field(folder, token, named.get(token), token in tokenizer.get_added_vocab())} {token!r} is token {refused[token]}, "
        f"but the embedding has {rows} rows (config.json: vocab_size); expected an id below {rows}: "
        "name another token, or give the model a row for it"
    )


def _field(folder: Path, token: str, named: str | None, added: bool) -> str:
    """The file and the field that a token stands in."""
    if named is not None:
        files = ("tokenizer_config.json", "special_tokens_map.json")
        return f"{folder / _holding(folder, files, json.dumps(named))}: {named}"
    file = _holding(folder, tuple(_ADDED), json.dumps(token)) if added else "tokenizer.json"
    return f"{folder / file}: {_ADDED[file] if added else 'model.vocab'}"


def _holding(folder: Path, files: tuple[str, ...], text: str) -> str:
    """The first of the files that holds a text; the first, if none does."""
    return next((name for name in files if (folder / name).exists() and text in (folder / name).read_text()), files[0])


def _forget(tokenizer: Any, tokens: set[str]) -> None:
    """Take added tokens out, so that a text that spells one is read as any other text."""
    from tokenizers import Tokenizer

    written = json.loads(tokenizer.backend_tokenizer.to_str())
    written["added_tokens"] = [token for token in written["added_tokens"] if token["content"] not in tokens]
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(written))


def _eos_ids(folder: Path, hf: dict[str, Any], end: int, rows: int) -> tuple[int, ...]:
    file = folder / "generation_config.json"
    generation = read_json(file) if file.exists() else {}
    declared = generation.get("eos_token_id", hf.get("eos_token_id"))
    listed = [i for i in (declared if isinstance(declared, list) else [declared]) if i is not None]
    for i in listed:
        if type(i) is not int or not 0 <= i < rows:
            where = file if "eos_token_id" in generation else folder / "config.json"
            raise UsageError(f"{where}: eos_token_id {i!r} is no token of the embedding's {rows} rows; correct it")
    return tuple(dict.fromkeys([end, *listed]))


def _pad_apart(tokenizer: Any, eos_ids: tuple[int, ...]) -> None:
    """Make padding a token that ends no turn.

    Tunix takes every pad id in a prompt for padding and in a completion for what comes after its end (tunix 0.1.7,
    generate/sampler.py, ``init_sample_state``; rl/common.py, ``process_ids``). Where pad is eos, or missing, the model
    would not see where the user's turn ends. Another special token takes its place, one that is not in use, if there is one.
    """
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in eos_ids:
        return
    taken = {*eos_ids, tokenizer.bos_token_id}
    if tokenizer.chat_template:
        taken |= set(prompt_ids(render("1 + 1?", tokenizer), tokenizer))
    specials = sorted((i, token.content) for i, token in tokenizer.added_tokens_decoder.items() if token.special)
    tokenizer.pad_token = next((content for i, content in specials if i not in taken), tokenizer.eos_token)
