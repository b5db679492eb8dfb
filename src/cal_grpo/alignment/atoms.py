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

Kind = Literal["word", "number", "operator", "label"]

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

_SCANNER = re.compile(
    r"""
    (?P<note><<(?=[^<>\n]*>>))
  | (?P<note_end>>>)
  | (?P<label>^[^\S\n]*(?:[-*+×•>]\ +)?(?:\*\*|\#+\ *)?
        (?:step\ *\#?(?P<step>\d{1,3})(?:\*\*)?\ *(?:[:.)\-]|(?=\n))|\(?(?P<item>\d{1,2})[.)](?=\ +\S)))
  | (?P<bullet>^[^\S\n]*[-*+×•]\s+(?=\S))
  | \\(?P<latex>[a-z]+|%)
  | (?P<over>\}\s*\{)
  | (?P<number>\d+(?:,\d{3})*(?!,?\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
  | (?P<times>(?<=[\d)%]\ )x(?=\ ?[\d($.\\])|(?<=[\d)%])x(?=\ ?[\d($\\])|(?<=\ )x(?=\ [\d($])
        |(?<=[\w)\]}%$])\*(?=[\w(\[{$\\.\-])|(?<=\s)\*(?=\s)|(?<=\d\ )\*(?=\d)|(?<=\d)\*(?=\ \d)|×)
  | (?P<word>[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|(?:(?![\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])[^\W\d_])+)
  | (?P<power>(?<=\w)\*\*(?=\w)|\^)
  | (?P<arrow>=+>|-+>|[→⇒])
  | (?P<operator>==?|!=|<=|>=|[+/%<>≤≥≠≈±])
  | (?P<minus>(?<=\s)-(?=\s)|-(?=\s?[\d$(\\.])|(?<=[\d)%])-(?=\s|[a-z]\b))
    """,
    re.VERBOSE | re.MULTILINE,
)
_SAME_OPERATOR = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}


class Atom(NamedTuple):
    """One word, number, operator or step label, in one spelling, with its half-open characters."""

    text: str
    start: int
    end: int
    kind: Kind
    in_note: bool = False  # inside a <<3*4=12>> calculator annotation

    @property
    def is_strict(self) -> bool:
        """A number, an operator or a step's number: never matched loosely."""
        return self.kind != "word"


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
        return "\x1f" + "\x1f".join(a.text for a in self.items) + "\x1f" if self.items else "\x1f"

    @cached_property
    def _key_starts(self) -> list[int]:
        starts, at = [], 0
        for atom in self.items:
            starts.append(at)
            at += len(atom.text) + 1
        return starts

    @cached_property
    def has_labels(self) -> bool:
        return any(a.kind == "label" for a in self.items)

    @cached_property
    def has_notes(self) -> bool:
        return any(a.in_note for a in self.items)

    def without(self, *, labels: bool, notes: bool) -> "Atoms":
        """The same without step labels, without annotations, or as it is."""
        labels, notes = labels and self.has_labels, notes and self.has_notes
        if not labels and not notes:
            return self
        cache: dict[tuple[bool, bool], Atoms] = self._views
        if (labels, notes) not in cache:
            keep = [a for a in self.items if not (labels and a.kind == "label") and not (notes and a.in_note)]
            cache[labels, notes] = Atoms(keep)
        return cache[labels, notes]

    @cached_property
    def _views(self) -> "dict[tuple[bool, bool], Atoms]":
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
        group = match.lastgroup
        start, end = match.span()
        kind: Kind = "operator"
        if group in ("step", "item", "label"):
            group, kind = "label", "label"
            value = "#" + (match["step"] or match["item"]).lstrip("0")
            start = match.start("step" if match["step"] else "item")
        elif group == "word":
            value, kind = match[0], "word"
        elif group == "number":
            value, kind = match[0].replace(",", ""), "number"
        elif group == "times":
            value = "×"
        elif group == "power":
            value = "^"
        elif group == "minus":
            value = "-"
        elif group == "operator":
            value = _SAME_OPERATOR.get(match[0], match[0])
        elif group == "over":
            value = "/"
        elif group == "latex":
            name = match["latex"]
            if name in _LATEX_MARKUP:
                continue
            value = _LATEX.get(name, name)
            kind = "operator" if name in _LATEX else "word"
        else:
            if group in ("note", "note_end"):
                in_note = group == "note"
            continue
        yield Atom(value, origin[start], origin[end - 1] + 1, kind, in_note)
