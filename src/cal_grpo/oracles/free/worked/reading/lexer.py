"""A worked solution as tokens: numbers, operators, brackets, words. Every token knows its characters.

Plain text, Markdown and LaTeX come out alike: ``3 × 4``, ``3 x 4``, ``3*4``, ``3 times 4`` and ``3 \\times 4`` are the
same tokens.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 30  # of one number: nobody reckons with more by hand
_MAX_TEXT = 20_000  # characters of one step that are read

# White space and currency signs are skipped.
_TOKEN = re.compile(
    r"\s*(?:(?P<vulgar>[½⅓⅔¼¾])"
    r"|(?P<word>[^\W\d_]+(?:['’&-][^\W\d_]+)*)"
    r"|(?P<skip>\\[()\[\]]|\\[,;!]|\\?[$€£¥]|[\"'“”‘’`°~]|\\(?:left|right|quad|displaystyle)(?![a-zA-Z]))"
    r"|(?P<unread>\d{1,2}:\d\d(?!\d)|\d+(?:st|nd|rd|th)\b)"
    r"|(?P<number>(?:\d{1,3}(?:(?:,|\{,\}|[\u00a0\u2009\u202f])\d{3}(?!\d))+|\d{1,3}(?: \d{3}(?![\d-]))+|\d+(?!,\d))(?:\.\d+)?"
    r"|\.\d+)"
    r"|(?P<digits>\d+(?:,\d+)*)"  # no number: 16,0000
    r"|(?P<stop>[,;:.!?…])"
    r"|(?P<equals>=|≈|\\approx(?![a-zA-Z]))"
    r"|(?P<emphasis>\*\*|__)"
    r"|(?P<times>[*×⋅·∗]|\\times(?![a-zA-Z])|\\cdot(?![a-zA-Z])|\\\*)"
    r"|(?P<over>[/÷]|\\div(?![a-zA-Z]))"
    r"|(?P<plus>\+)|(?P<minus>[-−–])"
    r"|(?P<percent>\\?%)"
    r"|(?P<open>[({\[])|(?P<close>[)}\]])"
    r"|(?P<frac>\\[dt]?frac(?![a-zA-Z]))"
    r"|(?P<wrapper>\\(?:text|mathrm|mathbf|textbf|boxed)(?![a-zA-Z]))"
    r"|(?P<power>\^)"
    r"|(?P<note><<[^<>\n]{0,200}>>)"
    r"|(?P<other>\\[a-zA-Z]+|\S))"
)
_KINDS = {
    "equals": "=", "times": "*", "over": "/", "plus": "+", "minus": "-", "percent": "%", "open": "(", "close": ")",
    "power": "^", "unread": "other", "digits": "other",
}  # fmt: skip
_VULGAR = {"½": Fraction(1, 2), "⅓": Fraction(1, 3), "⅔": Fraction(2, 3), "¼": Fraction(1, 4), "¾": Fraction(3, 4)}
_SEPARATORS = re.compile(r"[,{}\s]")
_SPOKEN = {"plus": "+", "minus": "-", "times": "*", "equals": "="}
_UNITS = "mglLhk"
_ABBREVIATIONS = frozenset(["sq", "ft", "lb", "lbs", "oz", "hr", "hrs", "min", "yd", "gal", "cu"])
_OPERATORS = frozenset("+-*/=")
# Counts of lines, not of things: bullets, headings, "1.", "2)", "Step 3:".
_LABEL = re.compile(
    r"\s*(?:[-*•·–]\s+|#{1,6}\s+|\(?\d{1,2}[.)]\s+|\**(?:step|part)\s*#?\d{1,2}\**\s*[:.)\-–]*\**\s*)+", re.IGNORECASE
)


@dataclass(slots=True)
class Token:
    """``kind``: ``number``, ``word``, ``variable``, ``stop``, ``frac``, ``note``, ``other``, or an operator or bracket
    itself, ``+ - * / ^ = % ( )``. ``glued``: no space before it."""

    kind: str
    start: int
    end: int
    text: str
    value: Fraction | None = None
    decimals: int = 0
    glued: bool = False


_EDGE = Token("end", 0, 0, "")


def tokenize(text: str) -> list[Token]:
    """The tokens of one step, its label (``2.``, ``Step 3:``, a bullet) left out."""
    text = text[:_MAX_TEXT].rstrip()  # white space without a token behind it would be tried from each of its characters
    label = _LABEL.match(text)
    tokens: list[Token] = []
    end = -1
    for match in _TOKEN.finditer(text, label.end() if label else 0):
        kind: str = match.lastgroup  # type: ignore[assignment]  # every alternative has a name
        start, stop = match.span(kind)
        written = text[start:stop]
        if kind in ("skip", "emphasis", "wrapper"):
            # currency and emphasis do not separate; a wrapper's braces stay as brackets
            end = stop if start == end else end
            continue
        if written == "." and start == end and tokens and tokens[-1].text in _ABBREVIATIONS:
            continue  # sq. ft.
        token = Token(_KINDS.get(kind, kind), start, stop, written, None, 0, start == end)
        end = stop
        if kind == "number":
            _read_number(token, written)
        elif kind == "vulgar":
            token.kind, token.value = "number", _VULGAR[written]
        elif kind == "word" and len(written) > 1:
            token.text = written.lower()
            if token.text == "by" and tokens and tokens[-1].text in ("divided", "multiplied"):
                operator = "/" if tokens[-1].text == "divided" else "*"
                tokens[-1] = Token(operator, tokens[-1].start, token.end, "by")
                continue
        tokens.append(token)
    for i, token in enumerate(tokens):
        if token.kind == "word" and (len(token.text) == 1 or token.text in _SPOKEN or token.text in ("of", "percent")):
            after = tokens[i + 1] if i + 1 < len(tokens) else _EDGE
            token.kind = _meaning(token, tokens[i - 1] if i else _EDGE, after, tokens[max(0, i - 4) : i])
    return tokens


def _read_number(token: Token, written: str) -> None:
    digits = written if written.isdecimal() else _SEPARATORS.sub("", written)
    if len(digits) > MAX_DIGITS:
        token.kind = "other"
        return
    whole, point, decimals = digits.partition(".")
    token.decimals = len(decimals)
    token.value = Fraction(int(whole + decimals), 10 ** len(decimals)) if point else Fraction(int(whole))


def _meaning(token: Token, before: Token, after: Token, earlier: list[Token]) -> str:
    """What a word is beside numbers: an operator, an unknown or a word."""
    word = token.text
    follows = before.kind in ("number", "%", ")")
    leads = after.kind in ("number", "(", "frac")
    if word in _SPOKEN:
        return _SPOKEN[word] if follows and leads else "word"
    if word == "percent":
        return "%" if before.kind == "number" else "word"
    if word == "of":
        # 25% of 80 and 1/4 of 80 multiply, but "= 1/4 of 80" says what the result is a part of
        kinds = [t.kind for t in earlier]
        percent = kinds[-1:] == ["%"] and kinds[-3:-2] != ["="]
        fraction = kinds[-3:] == ["number", "/", "number"] and kinds[:-3] != ["="]
        return "*" if leads and (percent or fraction or before.kind == ")") else "word"
    if word in "xX" and leads and (follows or before.kind == "word") and not (token.glued and after.kind == "("):
        return "*"  # 2 x 3, 30 players x $20
    if before.kind == "stop" and token.glued:
        return "word"  # a.m.
    if before.kind == "/" and [t.kind for t in earlier[-2:-1]] == ["word"]:
        return "word"  # ml/L
    if before.kind == "number":
        unit = word in _UNITS or (not token.glued and (word in "aAIs" or after.kind not in _OPERATORS))
        return "word" if unit else "variable"  # 300m is a length, 3x is not
    return "variable" if before.kind in _OPERATORS or after.kind in _OPERATORS else "word"
