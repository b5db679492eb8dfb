"""Bytes that tokens stand for, and the characters that a run of them makes."""

import re
from functools import lru_cache

# One well-formed character, or the longest stretch that begins one: Unicode 16, table 3-7. Both Python and the
# tokenizers' Rust write one U+FFFD for such a stretch.
_CHARACTER = re.compile(
    rb"""
    [\xc2-\xdf][\x80-\xbf]?
  | \xe0(?:[\xa0-\xbf][\x80-\xbf]?)?
  | \xed(?:[\x80-\x9f][\x80-\xbf]?)?
  | [\xe1-\xef](?:[\x80-\xbf]{1,2})?
  | \xf0(?:[\x90-\xbf][\x80-\xbf]{0,2})?
  | [\xf1-\xf3](?:[\x80-\xbf]{1,3})?
  | \xf4(?:[\x80-\x8f][\x80-\xbf]{0,2})?
  | .
    """,
    re.VERBOSE | re.DOTALL,
)


def characters(data: bytes, all_or_nothing: bool) -> tuple[str, list[int]]:
    """Decode a run of bytes as a tokenizer does, in time linear in its length.

    Args:
        data: the bytes of neighbouring tokens.
        all_or_nothing: a run that is not UTF-8 becomes one U+FFFD a byte.

    Returns:
        The text, and for each byte the index of the character that it is part of.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        if all_or_nothing:
            return "\ufffd" * len(data), list(range(len(data)))
        text = data.decode(errors="replace")
    return text, [i for i, character in enumerate(_CHARACTER.findall(data)) for _ in character]


@lru_cache(maxsize=1)
def byte_level_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes: printable Latin-1 for itself, the rest from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(rest)}
