"""Reading the final answer out of a response, and numbers out of text."""

import re
from fractions import Fraction

MAX_RESPONSE = 200_000  # characters that are read, from the end: the answer stands there
MAX_DIGITS = 60  # a longer number is text: exact arithmetic on it could be made to take for ever

# Explicit markers; the last one in the text wins. What follows is looked at without being consumed, so that a marker
# behind another on one line ("the answer is \boxed{5}") is found too.
_MARKERS = re.compile(
    r"####[ \t]*(?=(?P<hashes>[^\n]{1,400}))"
    r"|\\(?:boxed|fbox)[ \t]*\{(?P<boxed>)"
    r"|\\boxed[ \t]+(?=(?P<bare>[^\s{$][^\n$]{0,399}))"  # TeX needs no braces around one sign
    r"|^[ \t*]*A[ \t]*:[ \t*]*(?=(?P<letter>[^\n]{1,400}))"
    r"|\banswer(?:[ \t]+(?:is|equals|(?:would|should|will|must)[ \t]+be)|[ \t]*[:=])[ \t:*]*(?=(?P<phrase>[^\n]{1,400}))",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING = re.compile(r"[*_]*[A-Za-z]{2}")
_LEAD_IN = re.compile(
    r"(?:(?:therefore|thus|hence|simply|just|exactly|about|around|approximately|roughly|now|indeed|equal to)\b[\s,:]*"
    r"|[≈~]\s*)+",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.!?;](?=\s|$)|,(?=\s)|\s(?:because|since|as)\s", re.IGNORECASE)
_LAST_NUMBER = re.compile(r"(?<![\w.])[-−]?[$€£¥]?\s?(?:\d{1,9} \d+/\d+|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?%?)")
_BRACE = re.compile(r"[{}]")

_CURRENCY = "$€£¥"
_CURRENCY_WORD = re.compile(r"(?:USD|EUR|GBP|US(?=\$))\s*")
_MIXED = re.compile(r"(?P<whole>\d+)\s+(?=\d+\s?/\s?\d)")  # 1 1/2
_NUMBER = re.compile(r"(?:\d{1,3}(?:[,\u00a0\u2009\u202f]\d{3})+|\d+)?(?:\.\d+)?(?:\s?/\s?\d+)?")
_SEPARATORS = re.compile(r"[,\s]")
_WRAPPING = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{(\d{1,60})\}|(\d))\s*(?:\{(\d{1,60})\}|(\d))")
_LATEX_NOISE = re.compile(r"\\[,!;$ ]|\\(?=%)")
_VARIABLE_IS = re.compile(r"[A-Za-z]\w{0,20}\s*=\s*")
# Behind a number: a letter that touches it is a variable, "5x", and an exclamation mark a factorial; digits, operators and
# x, y, z, n are more mathematics. Anything else is a unit: "5 m", "18 a day", "5%", "12 km/h".
_NOT_A_UNIT = re.compile(r"^[A-Za-z](?![A-Za-z])|^[(!]|[\d=+*^<>\\]|\b[xyzn]\b")


def extract_answer(response: str) -> str | None:
    """The final answer as written: after the last explicit marker, else the last number, else None.

    Markers are ``#### x``, ``\\boxed{x}``, a line ``A: x``, ``answer: x`` and ``the answer is x``; the last three end with
    their clause. Words behind ``####`` count only in the last line: before that they are a Markdown heading.
    """
    response = response[-MAX_RESPONSE:].rstrip()
    marked = marked_answer(response)
    if marked is not None:
        return marked
    numbers = _LAST_NUMBER.findall(response)
    return numbers[-1].strip() if numbers else None


def marked_answer(response: str) -> str | None:
    """What the last explicit marker shows, as written; None without one."""
    response = response[-MAX_RESPONSE:].rstrip()
    found = None
    for match in _MARKERS.finditer(response):
        candidate = _candidate(response, match)
        if candidate is not None and candidate.strip(" .*$\t"):
            found = candidate
    return None if found is None else _tidy(found)


def _candidate(response: str, match: re.Match[str]) -> str | None:
    if match["boxed"] is not None:
        return _braced(response, match.end())
    if match["bare"] is not None:
        return match["bare"]
    if match["hashes"] is not None:
        text = match["hashes"].rstrip("! ")
        return None if _HEADING.match(text) and match.end("hashes") < len(response) else _without_lead_in(text)
    text = _without_lead_in(match["phrase"] or match["letter"])
    end = _CLAUSE_END.search(text)
    return text[: end.start()] if end else text


def _without_lead_in(text: str) -> str:
    return text[lead.end() :] if (lead := _LEAD_IN.match(text)) else text


def _braced(text: str, start: int) -> str | None:
    """The text up to the brace that closes the one before ``start``; None when nothing closes it."""
    depth = 1
    for brace in _BRACE.finditer(text, start, start + 400):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[start : brace.start()]
    return None


def _tidy(text: str) -> str:
    """Without emphasis, a full stop, and the dollar signs around a formula."""
    text = text.strip().strip("*_`").rstrip(" .")
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == "$" else text.strip()


def parse_number(text: str) -> Fraction | None:
    """The number that an answer states, or None when it is not plainly one.

    Currency signs, thousands separators, a percent sign, a unit behind and LaTeX wrapping are read past: ``$1,234.50``,
    ``75%``, ``3/4``, ``1 1/2``, ``18 eggs``, ``x = 5``, ``\\frac{1}{2}``. Percent is a unit here, not a factor: a task
    that asks for a percentage is answered ``75`` or ``75%`` alike. The right side counts of an equation between numbers,
    ``9*2 = 18``.
    """
    text = text[:400].strip()
    if "\\" in text or "{,}" in text:
        text = _FRACTION.sub(r" \1\2/\3\4", _LATEX_NOISE.sub("", _WRAPPING.sub(r" \1", text))).replace("{,}", ",")
    text = text.replace("−", "-").strip()
    if "=" in text:
        text = _VARIABLE_IS.sub("", text, count=1) if _VARIABLE_IS.match(text) else _right_side(text)
    negative = text.startswith("-")
    body = _CURRENCY_WORD.sub("", text.removeprefix("-").lstrip(), count=1).lstrip(_CURRENCY + " ")
    if not negative and body.startswith("-"):  # the sign behind the currency
        negative, body = True, body[1:].lstrip()
    mixed = _MIXED.match(body)
    whole, body = (mixed["whole"], body[mixed.end() :]) if mixed else ("0", body)
    match = _NUMBER.match(body)
    number = match.group() if match else ""
    digits = len(whole) - 1 + sum(map(str.isdecimal, number))
    if not 0 < digits <= MAX_DIGITS or _NOT_A_UNIT.search(body[len(number) :].rstrip("." + _CURRENCY)):
        return None
    top, _, bottom = _SEPARATORS.sub("", number).partition("/")
    if not top or (bottom and not int(bottom)):
        return None
    value = int(whole) + Fraction(top) / int(bottom or 1)
    return -value if negative else value


def _right_side(text: str) -> str:
    """``18`` of ``9*2 = 18`` when the left side is arithmetic on plain numbers; else the text as it is."""
    left, _, right = text.rpartition("=")
    return right.strip() if left and not re.search(r"[^\d\s.,+\-*/×÷()=$€£¥%]", left) else text
