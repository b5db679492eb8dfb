"""Text in one spelling, with a map back to the characters it came from."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_NON_ASCII = re.compile(r"[^\x00-\x7f]+")
_SPELLINGS = {
    **dict.fromkeys("×✕✖⋅·∙∗", "×"),
    **dict.fromkeys("÷∕⁄", "/"),
    **dict.fromkeys("−–‐‑‒﹣－", "-"),
    **dict.fromkeys("‘’ʼ′", "'"),
    **dict.fromkeys("“”„″«»", '"'),
    "—": " ",
    "≠": "≠",
}


def fold(text: str) -> tuple[str, Sequence[int]]:
    """Lower case, compatibility forms resolved (NFKD), accents dropped, one sign for each operator.

    Returns:
        The folded text, and for each of its characters the index in ``text`` of the one that it came from.
    """
    if text.isascii():
        return text.lower(), range(len(text))
    parts: list[str] = []
    origin: list[int] = []
    done = 0
    for run in _NON_ASCII.finditer(text):
        parts.append(text[done : run.start()].lower())
        origin.extend(range(done, run.start()))
        for i in range(run.start(), run.end()):
            folded = _fold_character(text[i])
            parts.append(folded)
            origin.extend([i] * len(folded))
        done = run.end()
    parts.append(text[done:].lower())
    origin.extend(range(done, len(text)))
    return "".join(parts), origin


@lru_cache(maxsize=8192)
def _fold_character(c: str) -> str:
    if c in _SPELLINGS:
        return _SPELLINGS[c]
    if "\uac00" <= c <= "\ud7a3":  # a Hangul syllable is one letter to its readers
        return c
    form = unicodedata.decomposition(c)
    plain = "".join(d for d in unicodedata.normalize("NFKD", c) if not "\u0300" <= d <= "\u036f")
    # Without the mark "x²" would read "x2", and "3½" would read "31/2".
    raised = form.startswith("<super>") and plain.isdecimal()
    lead = "^" if raised else " " if form.startswith("<fraction>") else ""
    return lead + "".join(_SPELLINGS.get(d, d) for d in plain.casefold())


def ink(text: str) -> tuple[str, list[int]]:
    """Folded text without white space, times signs and what markdown and LaTeX are made of; origins as in ``fold``."""
    folded, origin = fold(text)
    kept = [i for i, c in enumerate(folded) if c not in "*×_`#$\\" and not c.isspace()]
    return "".join(folded[i] for i in kept), [origin[i] for i in kept]


def is_visible(c: str) -> bool:
    """Whether a reader sees anything: neither white space nor a control or format character."""
    if c.isascii():
        return "!" <= c <= "~"
    return not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf")
