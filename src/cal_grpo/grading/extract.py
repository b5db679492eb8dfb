"""Reading the final answer out of a response, and numbers out of text."""

import re
from fractions import Fraction

MAX_RESPONSE = 200_000  # characters that are read, from the end: the answer stands there
MAX_DIGITS = 60  # a longer number is text: exact arithmetic on it could be made to take for ever

_NUMBER = re.compile(r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:\s?/\s?\d+)?")
_LAST_NUMBER = re.compile(r"(?<![\w.])[-−]?[$€£¥]?\s?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?%?")
# Explicit markers. All are looked for at once and the last one in the text wins.
_MARKERS = re.compile(
    r"####[ \t]*(?P<hashes>[^\n]*)"
    r"|\\boxed[ \t]*(?P<boxed>\{)"
    r"|(?:^|\n)[ \t]*A(?:nswer)?[ \t]*:[ \t]*(?P<colon>[^\n]+)"
    r"|\b(?:final[ \t]+)?answer(?:[ \t]+is|[ \t]*[:=])[ \t]*:?[ \t]*(?P<phrase>[^\n]+)",
    re.IGNORECASE,
)
_WRAPPING = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
_BRACE = re.compile(r"[{}]")
_CURRENCY = "$€£¥"


def extract_answer(response: str) -> str | None:
    """The final answer as written: after the last explicit marker, else the last number, else None."""
    response = response[-MAX_RESPONSE:]
    found = None
    for match in _MARKERS.finditer(response):
        if match["boxed"]:
            candidate = _braced(response, match.end())
        else:
            candidate = match["hashes"] or match["colon"] or match["phrase"]
        if candidate is not None and candidate.strip(" .*$\t"):
            found = candidate
    if found is None:
        numbers = _LAST_NUMBER.findall(response)
        return numbers[-1].strip() if numbers else None
    return _tidy(found)


def _braced(text: str, start: int) -> str | None:
    """The text up to the brace that closes the one before ``start``; None when nothing closes it."""
    depth = 1
    for brace in _BRACE.finditer(text, start, start + 400):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[start : brace.start()]
    return None


def _tidy(text: str) -> str:
    text = text.strip().strip("*_`").strip()
    if "\\boxed{" in text:
        start = text.index("\\boxed{") + len("\\boxed{")
        text = _braced(text, start) or text
    text = text.strip().rstrip(".").strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == "$" else text


def parse_number(text: str) -> Fraction | None:
    """The number that an answer states, or None when it is not plainly one.

    Currency signs, thousands separators, a percent sign, a trailing unit and LaTeX wrapping are read past:
    ``$1,234.50``, ``75%``, ``3/4``, ``18 eggs``, ``x = 5``, ``\\frac{1}{2}``. Percent is a unit here, not a factor: a task that
    asks for a percentage is answered ``75`` or ``75%`` alike.
    """
    text = (
        _WRAPPING.sub(r" \1", text[:400]).replace("\\$", "").replace("\\%", "%").replace("\\,", "").replace("\\!", "")
    )
    text = re.sub(r"\\d?frac\{(\d{1,60})\}\{(\d{1,60})\}", r"\1/\2", text).replace("−", "-").strip()
    text = re.sub(r"^[A-Za-z]\w{0,20}\s*=\s*", "", text)
    sign = -1 if text.startswith("-") else 1
    body = text.removeprefix("-").strip().lstrip(_CURRENCY).strip()
    if body.startswith("-") and sign == 1:
        sign, body = -1, body[1:].strip()
    match = _NUMBER.match(body)
    number = match.group() if match else ""
    if not any(c.isdigit() for c in number) or sum(map(str.isdigit, number)) > MAX_DIGITS:
        return None
    rest = body[len(number) :].strip().strip("." + _CURRENCY)
    if re.search(r"[\d=+*^<>/\\(]|\b[a-z]\b", rest) or number[0] in "+-":
        return None  # more arithmetic, or a variable, follows: not plainly a number
    top, _, bottom = number.replace(",", "").replace(" ", "").partition("/")
    if bottom and not int(bottom):
        return None
    return sign * (Fraction(top) / (int(bottom) if bottom else 1))
