"""Answers that are words: choices, times of day, dates, numbers to a base."""

import re
from typing import NamedTuple

from cal_grpo.grading.reading.spelling import squeezed

# Neither formulas, "(x) + 1", "(x)-3" and "x - 5", nor two choices: no text begins with an operator, and a word follows a dash.
_CHOICE = re.compile(
    r"(?:(?i:option|choice|answer)\s*:?\s*)?(?:"
    r"(?:\(\s*(?P<round>[A-Za-z])\s*\)|\[(?P<square>[A-Z])\])(?=\s|[:.]|$|(?<=[A-Z]\))(?:\d|[A-Z][a-z]))"
    r"|(?P<bare>[A-Z])(?=\s*[:.)]\s|\s+[-–—]\s+[A-Za-z]{2}|\s*[).:]?$)|(?P<alone>[a-z])$)"
    r"\s*+(?:[:.)]\s*+|[-–—]\s++(?=[A-Za-z]{2}))?+(?P<text>(?!\s*(?:[+*/^=<>_,;&]|-\s|(?:and|or)\b))(?!.*\([A-Z]\)).*)",
    re.DOTALL,
)
_TIME = re.compile(r"(\d{1,2})(?:[:.]([0-5]\d))?\s*([ap])\.?\s?m\.?", re.IGNORECASE)
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
]  # fmt: skip
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)}|(?:{'|'.join(month[:3] for month in _MONTHS)}|sept)\.?)"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = [
    re.compile(rf"(?:the )?{form}(?:,?\s+(?P<year>\d{{4}}))?", re.IGNORECASE)
    for form in (rf"{_DAY}\s+(?:of )?{_MONTH}", rf"{_MONTH}\s+(?:the )?{_DAY}")
]
_BASES = [
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen",
]  # fmt: skip
_BASE = r"\d{1,2}|" + "|".join(_BASES)
_BASED = re.compile(
    r"\(?\s*(?P<digits>-?[0-9][0-9A-Z,. ]*?)\s*\)?\s*"
    rf"(?:_\s*\{{?\s*(?P<base>{_BASE})\s*\}}?|,?\s*\(?(?:in )?base(?:\s+|-)(?P<word>{_BASE})\s*\)?)"
)
_ARTICLE = re.compile(r"\A(?:the|an?)\s+(?=[a-z]{2})")
_FORMULA = re.compile(r"[\d\\^=+*/<>_()\[\]{}|]")


class Choice(NamedTuple):
    """Choice ``letter`` of several, and the text that was repeated with it, "" for none."""

    letter: str
    text: str


class Based(NamedTuple):
    digits: str
    base: int


def read_choice(text: str) -> Choice | None:
    """``(B) 12``, ``E: text``, ``option (C)``, ``D``."""
    match = _CHOICE.fullmatch(text)
    return match and Choice(
        (match["round"] or match["square"] or match["bare"] or match["alone"]).upper(), match["text"].strip()
    )


def read_based(text: str) -> Based | None:
    """``2516_8``, ``2516 base eight``."""
    match = _BASED.fullmatch(text)
    if match is None:
        return None
    base = match["base"] or match["word"]
    return Based(re.sub("[, ]", "", match["digits"]), _BASES.index(base) + 2 if base in _BASES else int(base))


def same_time(a: str, b: str) -> bool:
    """Whether two texts are the same time of day: 15:30 is 3:30 PM, and beside it 3:30 is, too."""
    times = [_times(text) for text in (a, b)]
    if _CLOCK.fullmatch(a) and _CLOCK.fullmatch(b):
        return times[0] == times[1]
    return bool(times[0] & times[1])


def _times(text: str) -> set[int]:
    """Minutes after midnight that a text may mean."""
    if time := _TIME.fullmatch(text):
        hour = int(time[1])
        return {60 * (hour % 12 + 12 * (time[3].lower() == "p")) + int(time[2] or 0)} if 1 <= hour <= 12 else set()
    if clock := _CLOCK.fullmatch(text):
        hour, minute = int(clock[1]), int(clock[2])
        return {60 * (hour % 24) + minute} | ({60 * (hour % 12 + 12) + minute} if 1 <= hour <= 12 else set())
    return set()


def as_words(text: str) -> str:
    """A plain text for comparing letter by letter; a time and a date in one form, words without regard to capitals."""
    if time := _TIME.fullmatch(text):
        return f"{int(time[1])}:{time[2] or '00'} {time[3].lower()}m"
    for form in _DATES:
        if date := form.fullmatch(text):
            return f"{int(date['day'])} {date['month'][:3].lower()} {date['year'] or ''}"
    text = squeezed(text)
    return text if _FORMULA.search(text) else _ARTICLE.sub("", text.casefold())
