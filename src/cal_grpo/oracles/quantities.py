"""Written arithmetic, recomputed exactly."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_TOKEN = re.compile(r"\s*(?:(?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)|(?P<operator>[-+*/()%=]))")
# A run of arithmetic with at least one equals sign. Currency and annotations are taken out before, see _plain.
_RUN = re.compile(r"[-\d.(][\d\s.,()+*/%=-]*=[\d\s.,()+*/%=-]*\d[%)]*")
_NUMBERS = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\w.\d])\.\d+")
_ANNOTATION = re.compile(r"<<[^<>\n]*>>")
_GLYPHS = str.maketrans(
    {"×": "*", "⋅": "*", "·": "*", "∗": "*", "÷": "/", "−": "-", "–": "-", "$": " ", "€": " ", "£": " ", "¥": " "}
)
_PRODUCT = re.compile(r"(?<=[\d)%])\s*[xX]\s*(?=[\d(.$])")
_OF = re.compile(r"(?<=%)\s+of\s+(?=\d)")
_LATEX = re.compile(r"\\(times|cdot|div)(?![a-zA-Z])|\\d?frac\{(\d[\d.,]*)\}\{(\d[\d.,]*)\}|\\[()\[\],;!%$]")
_CONTINUES = re.compile(r"\b(?:x|times|plus|minus|and)$")  # ``12 x 1 and 1/4 = 15``: the run began earlier, in words
_MAX_DIGITS = 30  # of one number: nobody reckons with more by hand


@dataclass(frozen=True, slots=True)
class Equation:
    """``sides`` of one written chain ``a = b = c`` as exact values; ``text`` as recomputed from."""

    text: str
    sides: tuple[Fraction, ...]
    decimals: tuple[int, ...]  # written decimals of each side
    divides: bool
    percent: bool

    @property
    def result(self) -> Fraction:
        return self.sides[-1]

    def false_side(self) -> int | None:
        """Index of the first side that does not equal the one before it, None when the chain is true.

        A quotient may be rounded or cut to the decimals written, at least one; with a percent sign in play, 0.25 and
        25 are alike.
        """
        for i in range(1, len(self.sides)):
            left, right = self.sides[i - 1], self.sides[i]
            if left == right:
                continue
            if self.percent and (left == 100 * right or right == 100 * left):
                continue
            if self.divides and self.decimals[i] and abs(left - right) < Fraction(1, 10 ** self.decimals[i]):
                continue
            return i
        return None


def equations(text: str) -> Iterator[Equation]:
    """Every chain of plain arithmetic in a text, from left to right.

    A run that hangs on something unread (``apples + 5 * 2 = 22``, ``2x = 6``) is left out: a false alarm costs more than
    a miss.
    """
    plain = _plain(text)
    for match in _RUN.finditer(plain):
        before, after = plain[: match.start()].rstrip(), plain[match.end() :].lstrip()
        if (
            _CONTINUES.search(before)
            or before[-1:] in ("+", "-", "*", "/", "(", "=", "^", "<", ">")
            or (match.start() and plain[match.start() - 1].isalpha())
        ):
            continue
        sides = match.group().split("=")
        if re.match(r"[*/^(]|[+-]\s*[\w(]|and\s+[(\d]|[a-zA-Z](?![a-zA-Z])", after):
            sides = sides[:-1]  # the last side goes on with something unread
        values = [_evaluate(side) for side in sides]
        if len(sides) < 2 or any(value is None for value in values) or not re.search(r"\d\s*%?\s*\)*\s*[-+*/]", match.group()):
            continue
        yield Equation(
            match.group().strip(),
            tuple(value for value in values if value is not None),
            tuple(_decimals(side) for side in sides),
            "/" in match.group(),
            "%" in match.group(),
        )


def numbers(text: str) -> list[Fraction]:
    """Every number of a text, in order, thousands separators read."""
    found = (n.replace(",", "") for n in _NUMBERS.findall(_plain(text)))
    return [Fraction(n) for n in found if len(n) <= _MAX_DIGITS]


def _plain(text: str) -> str:
    def latex(match: re.Match[str]) -> str:
        if match[1]:
            return "/" if match[1] == "div" else "*"
        return f"({match[2]}/{match[3]})" if match[2] else ("%" if match.group() == "\\%" else " ")

    text = _LATEX.sub(latex, _ANNOTATION.sub("", text)).translate(_GLYPHS)
    return _OF.sub("*", _PRODUCT.sub("*", text))


def _decimals(side: str) -> int:
    match = re.search(r"\.(\d+)\D*$", side.strip())
    return len(match[1]) if match else 0


def _evaluate(text: str) -> Fraction | None:
    """Value of an arithmetic expression, None when it is not one (or divides by zero)."""
    tokens: list[str] = []
    position, text = 0, text.strip().rstrip(".,").strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(match.group()) > _MAX_DIGITS or len(tokens) > 60:
            return None
        tokens.append((match["number"] or match["operator"]).replace(",", ""))
        position = match.end()
    try:
        value, rest = _sum(tokens, 0)
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    return value if rest == len(tokens) else None


def _sum(tokens: list[str], i: int) -> tuple[Fraction, int]:
    value, i = _product(tokens, i)
    while i < len(tokens) and tokens[i] in "+-":
        sign = tokens[i]
        term, i = _product(tokens, i + 1)
        value = value + term if sign == "+" else value - term
    return value, i


def _product(tokens: list[str], i: int) -> tuple[Fraction, int]:
    value, i = _factor(tokens, i)
    while i < len(tokens) and tokens[i] in "*/":
        sign = tokens[i]
        factor, i = _factor(tokens, i + 1)
        value = value * factor if sign == "*" else value / factor
    return value, i


def _factor(tokens: list[str], i: int) -> tuple[Fraction, int]:
    if tokens[i] == "-":
        value, i = _factor(tokens, i + 1)
        return -value, i
    if tokens[i] == "(":
        value, i = _sum(tokens, i + 1)
        if tokens[i] != ")":
            raise ValueError("bracket not closed")
        i += 1
    else:
        value, i = Fraction(tokens[i]), i + 1
    if i < len(tokens) and tokens[i] == "%":
        value, i = value / 100, i + 1
    return value, i
