"""One form for the many ways in which a judge writes a quote, with the way back to the original characters."""

import re
import unicodedata
from dataclasses import dataclass

# Longest first: what is left out ("") or rewritten before single characters are looked at.
_PHRASES = re.compile(
    r"<<[^<>\n]*>>"  # GSM8K's calculator annotations
    r"|\\(?P<times>times|cdot)(?![a-zA-Z])|\\(?P<div>div)(?![a-zA-Z])"
    r"|\\(?:text|mathrm|mathbf|textbf|boxed|left|right)(?![a-zA-Z])"
    r"|\\[()\[\],;:! %$#{}]?"
    r"|\*\*|__|`+|(?m:^[ \t]*#{1,6}[ \t])"
)  # fmt: skip
_CHARACTERS = {
    "×": "*", "⋅": "*", "·": "*", "∗": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-",
    "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "{": "", "}": "", "$": "", "€": "", "£": "", '"': "", "\ufffd": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Normalized:
    """``text``, and for each of its characters the index of the original character it came from."""

    text: str
    origin: list[int]


def normalize(text: str) -> Normalized:
    """Case, white space, quotation marks, operators' glyphs, markdown, LaTeX and annotations made alike.

    White space goes altogether, except between two letters or two digits, where one blank stays: "12 5" is not "125".
    A comma between digits goes; nothing else about a number changes.
    """
    out: list[str] = []
    origin: list[int] = []
    blank = False
    for i, piece in _pieces(text):
        for character in piece:
            if character.isspace():
                blank = True
                continue
            if blank and out and _joins(out[-1], character):
                out.append(" ")
                origin.append(i)
            blank = False
            out.append(character)
            origin.append(i)
    return Normalized("".join(out), origin)


def _pieces(text: str) -> "list[tuple[int, str]]":
    pieces: list[tuple[int, str]] = []
    position = 0
    for match in _PHRASES.finditer(text):
        pieces += _single(text, position, match.start())
        if match["times"]:
            pieces.append((match.start(), "*"))
        elif match["div"]:
            pieces.append((match.start(), "/"))
        position = match.end()
    return pieces + _single(text, position, len(text))


def _single(text: str, start: int, end: int) -> "list[tuple[int, str]]":
    pieces = []
    for i in range(start, end):
        character = text[i]
        if character == "," and 0 < i < len(text) - 1 and text[i - 1].isdigit() and text[i + 1].isdigit():
            continue
        if character in _CHARACTERS:
            pieces.append((i, _CHARACTERS[character]))
        elif character in "xX" and _is_product(text, i):
            pieces.append((i, "*"))
        else:
            pieces.append((i, character.casefold() if character.isascii() else _fold(character)))
    return pieces


def _fold(character: str) -> str:
    folded = unicodedata.normalize("NFKC", character).casefold()
    return folded if folded and not unicodedata.category(character).startswith("C") else ""


def _is_product(text: str, i: int) -> bool:
    """``3 x 4`` and ``3x4``: an x between numbers."""
    before, after = text[max(i - 8, 0) : i].rstrip(" ")[-1:], text[i + 1 : i + 9].lstrip(" $")[:1]
    return (before.isdigit() or before == ")") and (after.isdigit() or after == "(")


def _joins(left: str, right: str) -> bool:
    return (left.isdigit() and right.isdigit()) or (left.isalpha() and right.isalpha())
