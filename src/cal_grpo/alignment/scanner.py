"""Text taken apart into words, numbers and operators, each in one spelling.

Markdown, LaTeX mark-up, punctuation and white space leave no atom. Each atom knows the characters it came from.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from cal_grpo.alignment.folding import fold

Extra = Literal["label", "sign", "bullet", "note"]

_LATEX = {
    **dict.fromkeys(("times", "cdot", "ast"), "×"),
    **dict.fromkeys(("leq", "le"), "≤"),
    **dict.fromkeys(("geq", "ge"), "≥"),
    **dict.fromkeys(("neq", "ne"), "≠"),
    "div": "/",
    "approx": "≈",
    "pm": "±",
    "%": "%",
}
_LATEX_MARKUP = frozenset((
    "frac", "dfrac", "tfrac", "text", "textbf", "textit", "mathrm", "mathbf", "mathit", "left", "right",
    "boxed", "quad", "qquad", "begin", "end", "displaystyle",
))  # fmt: skip

# What a line may begin with: the number of a step or an item, a sign before a number or a variable, or a bullet.
_OPENING = re.compile(
    r"""
    [^\S\n]*(?:
        (?:[-*•>]\ +)?(?:\*\*|\#+\ *)?
            (?:step\ *\#?(?P<step>\d{1,3})(?:\*\*)?\ *(?:[:.)\-]|(?=\n))|(?P<item>\d{1,2})\.(?=[^\S\n]+\S))
      | \(?(?P<point>\d{1,2})\)(?=[^\S\n]+\S)
      | (?P<sign>[-*+×>])(?=\s+(?:[\d($\\.]|[b-hj-z]\b))
      | (?P<bullet>[-*+×>•])(?=\s+\S)
    )
    """,
    re.VERBOSE,
)
# Characters of scripts written without spaces are words of their own; vowel signs belong to their word.
_SCANNER = re.compile(
    r"""
    (?P<word>[a-z]+
        |[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]
        |(?:(?![\x00-\x7f\d\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])
            (?:[^\W_]|[\u0900-\u0963\u0966-\u109f\u1780-\u17ff]))+)
  | (?P<line>\n)
  | (?P<number>\d+(?:,\d{3})*(?!,?\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
  | (?P<note><<(?=[^<>\n]*>>))
  | (?P<note_end>>>)
  | (?P<arrow>=+>|-+>|[→⇒])
  | (?P<operator>==?|!=|<=|>=|[+/%<>≤≥≠≈±])
  | (?P<times>×|(?<=[\w)\]}%$])\*(?=[\w(\[{$\\]|\.\d|-[\d($])|(?<=\s)\*(?=\s)|(?<=\d\s)\*(?=\d)|(?<=\d)\*(?=\s\d))
  | (?P<power>(?<=\w)\*\*(?=\w)|\^)
  | (?P<minus>(?<=\s)-(?=\s)|-(?=\s?[\d$(\\.])|(?<=[\d)%])-(?=\s|[a-z]\b))
  | \\(?P<latex>[a-z]+|%)
  | (?P<over>\}\s*\{)
    """,
    re.VERBOSE,
)
_SAME_OPERATOR = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥", "*": "×"}
_ONE_SIGN = {"times": "×", "power": "^", "over": "/", "minus": "-"}
_OPENINGS: dict[str, Extra] = {"step": "label", "item": "label", "point": "label", "sign": "sign", "bullet": "bullet"}


class Atom(NamedTuple):
    """One word, number or operator in one spelling, with its half-open characters.

    ``extra`` says which of two spellings may lack it: the number of a step or item ("label"), a sign that
    opens a line before a number ("sign") or a word ("bullet"), what is inside <<3*4=12>> ("note"). None for all else.
    """

    text: str
    start: int
    end: int
    is_strict: bool  # all but words: never matched loosely
    extra: Extra | None = None


def scan(text: str) -> Iterator[Atom]:
    """The atoms of a text in order, in time linear in its length."""
    folded, origin = fold(text)
    in_note = False
    for match in _matches(folded):
        group, value, extra = str(match.lastgroup), match[0], None
        start, end = match.span(group)
        if group == "word":
            if value == "x":  # whether it multiplies or is unknown, it counts
                group, value = "times", "×"
        elif group in _OPENINGS:
            value, extra = match[group], _OPENINGS[group]
            value = "•" if group == "bullet" and value == "*" else value
        elif group == "number":
            value = value.replace(",", "")
        elif group == "latex":
            name = match["latex"]
            if name in _LATEX_MARKUP:
                continue
            group, value = ("operator", _LATEX[name]) if name in _LATEX else ("word", name)
        elif group in _ONE_SIGN:
            value = _ONE_SIGN[group]
        elif group != "operator":
            in_note = group == "note" or (in_note and group != "note_end")
            continue
        value = _SAME_OPERATOR.get(value, value)
        if not isinstance(origin, range):  # of ASCII, which keeps its places
            # Accents that folding dropped after the last character belong to the atom.
            end = max(origin[end - 1] + 1, origin[end] if end < len(folded) else len(text))
            start = origin[start]
        yield Atom(value, start, end, group != "word", "note" if in_note else extra)


def _matches(folded: str) -> Iterator[re.Match[str]]:
    """What opens each line, if anything, and what follows."""
    at, opening = 0, _OPENING.match(folded)
    while True:
        if opening:
            yield opening
            at = opening.end()
        for match in _SCANNER.finditer(folded, at):
            if match.lastgroup != "line":
                yield match
            elif opening := _OPENING.match(folded, match.end()):
                break
        else:
            return
