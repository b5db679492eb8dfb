"""Where the answer that a phrase states begins and ends."""

import itertools
import re

MAX_CLAUSE = 1000  # characters that are looked at

_LEAD_IN = re.compile(
    r"(?:(?:therefore|thus|hence|simply|just|exactly|about|around|approximately|roughly|now|indeed|equal to)\b[\s,:]*"
    r"|not\s[^.,;]{1,40}?,?\sbut\s(?:rather\s)?"
    r"|[≈~]\s*|\\approx\s*)+",
    re.IGNORECASE,
)
_OPENED = re.compile(r"\$\$|\\\[|\\\(|\\begin\{[a-z*]+\}|(?<![\\\w])\$(?=[^\s$][^$\n]*(?<![\s\\])\$(?!\d))")
_CLOSING = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
_STOP = re.compile(r"[!?](?=\s|$)|\.(?=[*_\"')]*(?:\s|$))|[,;](?=\s|$)|\s(?:because|since|as)\s", re.IGNORECASE)
_REASON = re.compile(r"\s(?:so|but|which|where|when|while|after|for|than)\s", re.IGNORECASE)
_JOINT = re.compile(r"\s(?:and|or)\s(?!(?:more|less|fewer|greater|higher|lower|above|below|older|younger)\b)")
_BOUND = re.compile(r"[\s*_\"'(]*(?:not|between|at (?:least|most))\b.*\d", re.IGNORECASE)
# What is added to a number: in brackets, behind a dash, or behind a colon. "5 (mod 7)" and "5 (if x > 0)" are whole.
_ASIDE = re.compile(
    r"\s\((?=(?:since|because|as|i\.?e\b|that is|or|rounded|approx|approximately|about|roughly|which|after|from|not|see|note)\b"
    r"|[≈~=]|\\approx)|(?:\s*[–—]\s*|\s--?\s|:\s)(?=(?!(?:sin|cos|tan|log|ln|sqrt|pi|and|or)\b)[a-z]{2,}\s[a-z])",
    re.IGNORECASE,
)
_AGAIN = re.compile(r"\s*(?:or\s)?(?:i\.?\s?e\b|e\.?\s?g\b|that is|namely|equivalently|approximately|about|roughly|≈|\\approx)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|mt|prof|jr|sr|vs|no|approx|e\.g|i\.e)|\b[a-z]\.[a-z]|[a-z]\s[A-Z]|^[A-Z](?=\.\s[A-Z]\.))$",
    re.IGNORECASE,
)
_INITIAL_AFTER = re.compile(r"\b(?:option|choice|answer|is|letter|and|or)\s[A-Z]$", re.IGNORECASE)

_NUMBERED = r"[-+−–—‒]?\s?(?:[$€£¥₹]\s?)?[\d.]|[-+−–]?\\?[$(\[{|√π∞±½¼¾⅓⅔]|[-+−–]?\\[A-Za-z(\[{]|[<>≥≤=°]|[$€£¥₹]"
_VALUE = re.compile(
    rf"[\s*_`\"']*(?:{_NUMBERED}|(?:option|choice)\s*:?\s*\(?[A-Z]\b|[-−]?(?:pi|sqrt|sin|cos|tan|log|ln|infinity)\b"
    r"|[-−]?[A-Za-z]\w{0,3}(?:\([a-z]\))?\s*=|[-−]?[A-Za-z](?:_\w+)?(?=\s*(?:$|[^\w\s'’]|\s[^\w\s])|\^|\d))",
    re.IGNORECASE,
)
_RULES = re.compile(r"\A(?:\s*(?:[-=_~*]{3,}|```\w*)[ \t]*(?:\n|\Z))+")  # what underlines a heading or fences an answer
_BULLET = re.compile(r"[ \t]*(?:[-*+•>]|\d{1,2}[.)])[ \t]+(?=\S)")
_NAMED = re.compile(r"[ \t]*(?=\$?[A-Za-z](?:_\w+)?\s?=)")
_ITEM = re.compile(r"\s*(?:(?:and|or)\s+)?(?P<item>[^,;\n]*)")
_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
_REMARKS = frozenset({
    "correct", "right", "wrong", "incorrect", "valid", "above", "below", "here", "there", "in", "on", "at", "not", "that",
    "this", "what", "when", "where", "how", "why", "also", "then", "so", "it", "we", "you", "i", "they", "he", "she",
    "there's", "to", "of", "for", "from", "with", "based", "shown", "given", "known", "found", "clear", "obvious",
    "unique", "reasonable", "consistent", "good", "fine", "final", "expected", "exact", "likely", "probably", "only",
    "same", "too", "still", "within", "between", "if", "because", "since", "as", "by", "an", "a", "marked", "written",
    "seen",
})  # fmt: skip
_PARTICIPLE = re.compile(r"[a-z]{3,}(?:ed|ing|ly|able|ible)")


def first_block(text: str, start: int) -> str:
    """What follows a marker, on its line or, when nothing does, in the next lines that are not blank."""
    rest = text[start : start + MAX_CLAUSE]
    line, _, below = rest.partition("\n")
    return rest if line.strip(" \t*_:") else _listed(_RULES.sub("", below)).lstrip(" \t\n*_")


def _listed(text: str) -> str:
    """What stands on lines of its own without their bullets; several values, a line each, are one list."""
    lines = text.lstrip().split("\n")
    for form in (_BULLET, _NAMED):
        items = [line[m.end() :].strip() for line in itertools.takewhile(form.match, lines) if (m := form.match(line))]
        if len(items) > 1 and all(is_value(item) and not is_remark(item) for item in items):
            return ", ".join(item.rstrip(" ,;") for item in items)
        if items:
            return "\n".join((items[0], *lines[1:]))
    return text


def clause(text: str) -> str:
    """The start of a text up to where the sentence, or the list of values, ends; formulas and brackets stay whole."""
    text = text[:MAX_CLAUSE].lstrip(" \t*_")
    text = text[lead.end() :] if (lead := _LEAD_IN.match(text)) else text
    end = _end(text, with_brackets=True)
    return re.sub(r"\s[-–—]\Z", "", text[: _end(text, with_brackets=False) if end is None else end].strip())


def is_value(text: str) -> bool:
    """Whether a text starts as a number, a formula or a choice does, rather than as a sentence."""
    return bool(_VALUE.match(text))


def is_remark(text: str) -> bool:
    """Whether a text is something said of an answer, or a sentence with it, rather than the answer."""
    if is_value(text) and len(_WORD.findall(text)) < 6:
        return False
    words = _WORD.findall(text)
    if not words or (is_value(text) and "\\" in text):
        return False
    first = text.lstrip(" *_\"'(").split(maxsplit=1)[0].strip(".,:;*_")
    if _BOUND.match(text):
        return False  # "the answer is not 5" states something, and so does "at least 5"
    if first in _REMARKS or _PARTICIPLE.fullmatch(first):
        return True
    return len(words) > 6 or (len(words) > 2 and any(map(str.isdigit, text)))


def _end(text: str, with_brackets: bool) -> int | None:
    """Where the clause ends; None when a bracket is still open there."""
    at = depth = 0
    while at < len(text):
        if opened := _OPENED.match(text, at):
            closing = _CLOSING.get(opened.group(), opened.group().replace("begin", "end"))
            closed = text.find(closing, opened.end())
            at = closed + len(closing) if closed >= 0 else opened.end()
            continue
        sign = text[at]
        if sign == "\n":
            break
        if with_brackets and sign in "([{":
            depth += 1
        elif with_brackets and sign in ")]}":
            depth = max(0, depth - 1)
        elif depth == 0 and _stops(text, at):
            break
        at += 1
    return None if depth else at


def _stops(text: str, at: int) -> bool:
    before = text[:at]
    if stop := _STOP.match(text, at):
        if stop.group() == ".":
            return not _ABBREVIATION.search(before) or bool(_INITIAL_AFTER.search(before)) or not text[at + 1 :].strip()
        return stop.group() not in (",", ";") or not _goes_on(before, text[stop.end() :])
    if joint := _JOINT.match(text, at):
        return is_value(before) and not _goes_on(before, text[joint.end() :])
    return bool(_REASON.match(text, at) or (_ASIDE.match(text, at) and any(map(str.isdigit, before)))) and is_value(before)


def _goes_on(before: str, after: str) -> bool:
    """Whether what follows a comma is one more item: another value after a value, words after words."""
    if _AGAIN.match(after):
        return False
    match = _ITEM.match(after)
    item = match["item"].strip() if match else ""
    item = re.split(r"[.!?](?:\s|$)|\s(?:and|or)\s", item, maxsplit=1)[0].strip()
    words = _WORD.findall(item)
    if not item or len(words) > 2:
        return False
    if is_value(before):
        return is_value(item)
    return not is_remark(item)
