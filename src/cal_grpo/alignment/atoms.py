"""Text as words, numbers and operators: what two spellings of one quote have in common.

Markdown, LaTeX mark-up, punctuation and white space leave no atom. Each atom knows the characters it came from.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from cal_grpo.alignment.folding import fold

Extra = Literal["label", "sign", "bullet", "note"]

# Words that carry the quantity: a quote that has another one in its place is about something else.
STRICT_WORDS = frozenset((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty",
    "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion",
    "dozen", "half", "third", "quarter", "twice", "thrice", "double", "triple", "first", "second", "plus",
    "minus", "times", "divided", "multiplied", "added", "subtracted", "add", "subtract", "multiply", "divide",
    "more", "less", "fewer", "not", "no", "never", "greater", "smaller", "increase", "decrease",
))  # fmt: skip

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

# Characters of the scripts in "word" that are written without spaces are words of their own; vowel signs belong to
# their word.
_SCANNER = re.compile(
    r"""
    (?P<note><<(?=[^<>\n]*>>))
  | (?P<note_end>>>)
  | (?P<label>^[^\S\n]*(?:
        (?:[-*•>]\ +)?(?:\*\*|\#+\ *)?
            (?:step\ *\#?(?P<step>\d{1,3})(?:\*\*)?\ *(?:[:.)\-]|(?=\n))|(?P<item>\d{1,2})\.(?=[^\S\n]+\S))
        |\(?(?P<point>\d{1,2})\)(?=[^\S\n]+\S)))
  | (?P<sign>^[^\S\n]*[-*+×>](?=\s+(?:[\d($\\.]|[b-hj-z]\b)))
  | (?P<bullet>^[^\S\n]*[-*+×>•](?=\s+\S))
  | \\(?P<latex>[a-z]+|%)
  | (?P<over>\}\s*\{)
  | (?P<number>\d+(?:,\d{3})*(?!,?\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
  | (?P<times>×|(?<=[\w)\]}%$])\*(?=[\w(\[{$\\]|\.\d|-[\d($])|(?<=\s)\*(?=\s)|(?<=\d\s)\*(?=\d)|(?<=\d)\*(?=\s\d))
  | (?P<word>[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]
        |(?:(?![\d\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])
            (?:[^\W_]|[\u0900-\u0963\u0966-\u109f\u1780-\u17ff]))+)
  | (?P<power>(?<=\w)\*\*(?=\w)|\^)
  | (?P<arrow>=+>|-+>|[→⇒])
  | (?P<operator>==?|!=|<=|>=|[+/%<>≤≥≠≈±])
  | (?P<minus>(?<=\s)-(?=\s)|-(?=\s?[\d$(\\.])|(?<=[\d)%])-(?=\s|[a-z]\b))
    """,
    re.VERBOSE | re.MULTILINE,
)
_SAME_OPERATOR = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥", "*": "×"}
_ONE_SIGN = {"times": "×", "power": "^", "over": "/", "minus": "-"}
_SILENT = frozenset(("note", "note_end", "arrow"))


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


@dataclass(frozen=True, eq=False)
class Atoms:
    """The atoms of a text, searchable as a sequence."""

    items: Sequence[Atom]

    @classmethod
    def scan(cls, text: str) -> "Atoms":
        """Take a text apart, in time linear in its length."""
        return cls(list(_scan(text)))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def key(self) -> str:
        """All atoms in one string, each between separators that no atom contains."""
        return "\x1f" + "".join(a.text + "\x1f" for a in self.items)

    @cached_property
    def _key_starts(self) -> list[int]:
        starts, at = [], 0
        for atom in self.items:
            starts.append(at)
            at += len(atom.text) + 1
        return starts

    @cached_property
    def extras(self) -> frozenset[str]:
        """Which kinds of extra atoms there are."""
        return frozenset(a.extra for a in self.items if a.extra)

    def without(self, extras: frozenset[str]) -> "Atoms":
        """The same without those extra atoms; itself if it has none of them."""
        extras &= self.extras
        if not extras:
            return self
        if extras not in self._views:
            self._views[extras] = Atoms([a for a in self.items if a.extra not in extras])
        return self._views[extras]

    @cached_property
    def _views(self) -> "dict[frozenset[str], Atoms]":
        return {}

    def find(self, quote: "Atoms") -> Iterator[int]:
        """The positions at which all atoms of the quote stand in a row."""
        at = self.key.find(quote.key) if quote.items else -1
        while at >= 0:
            yield bisect_left(self._key_starts, at)
            at = self.key.find(quote.key, at + 1)


def _scan(text: str) -> Iterator[Atom]:
    folded, origin = fold(text)
    in_note = False
    for match in _SCANNER.finditer(folded):
        group, value = match.lastgroup, match[0]
        start, end = match.span()
        extra: Extra | None = "note" if in_note else None
        if group in _SILENT:
            in_note = group == "note" or (in_note and group != "note_end")
            continue
        if group == "latex":
            if match["latex"] in _LATEX_MARKUP:
                continue
            value = _LATEX.get(match["latex"], match["latex"])
            group = "operator" if match["latex"] in _LATEX else "word"
        elif group == "label":
            number = next(name for name in ("step", "item", "point") if match[name])
            value, start, end, extra = match[number], *match.span(number), "label"
        elif group == "sign":
            value, start, extra = match[0][-1], end - 1, "sign"
        elif group == "bullet":
            value, start, extra = "•" if match[0][-1] == "*" else match[0][-1], end - 1, "bullet"
        elif group == "number":
            value = value.replace(",", "")
        elif value == "x":  # whether it multiplies or is unknown, it counts
            value, group = "×", "times"
        elif group in _ONE_SIGN:
            value = _ONE_SIGN[group]
        value = _SAME_OPERATOR.get(value, value)
        # Accents that folding dropped after the last character belong to the atom.
        stop = max(origin[end - 1] + 1, origin[end] if end < len(folded) else len(text))
        yield Atom(value, origin[start], stop, group != "word", extra)
