"""What stands behind a number: a unit, or something that makes it another thing."""

import re
import unicodedata

_CODES = {
    "usd": "dollar", "us$": "dollar", "us dollar": "dollar", "buck": "dollar", "eur": "euro", "gbp": "pound",
    "rs": "rupee", "inr": "rupee", "jpy": "yen", "cny": "yuan",
}  # fmt: skip
MONEY = {"dollar", "cent", "euro", "pound", "penny", "yen", "rupee", "yuan", "peso", "franc", "won"}
_PREFIX = re.compile(r"(?:USD|EUR|GBP|INR|JPY|CNY|Rs\.?|US(?=\$))\s*")
_SHORT = {
    "cm": "centimeter", "mm": "millimeter", "km": "kilometer", "kg": "kilogram", "mg": "milligram", "ml": "milliliter",
    "mL": "milliliter", "ft": "foot", "feet": "foot", "in": "inch", "yd": "yard", "mi": "mile", "lb": "pound",
    "lbs": "pound", "oz": "ounce", "hr": "hour", "hrs": "hour", "min": "minute", "mins": "minute", "sec": "second",
    "secs": "second", "yr": "year", "yrs": "year", "m": "meter", "g": "gram", "s": "second", "h": "hour", "l": "liter",
    "L": "liter", "sq": "square", "cu": "cubic", "kph": "kilometer/hour", "mph": "mile/hour", "a.m": "am", "p.m": "pm",
    "deg": "degree", "percent": "%", "percentage": "%", "pct": "%", "people": "person", "children": "child", "men": "man",
    "women": "woman", "inches": "inch", "gal": "gallon", "pennies": "penny", "st": "th", "nd": "th", "rd": "th",
    "centimetre": "centimeter", "metre": "meter", "kilometre": "kilometer", "millimetre": "millimeter", "litre": "liter",
}  # fmt: skip
# Letters that touch a number are algebra, 6ab, unless they are one of these: 5cm, 3PM, 13th, 90min.
_TOUCHING = {
    *(s for s in _SHORT if len(s) > 1 and s not in ("in", "mi", "sq", "cu", "men")), "am", "pm", "AM", "PM", "th", "st",
    "nd", "rd", "GB", "MB", "KB", "Hz", "kHz", "kW", "kWh", "units", "dollars", "cents", "hours", "minutes",
    "seconds", "days", "meters", "miles", "degrees", "years", "USD",
}  # fmt: skip
# Behind a number these make another number of it, or a sentence.
_NOT_UNITS = frozenset({
    "pi", "e", "i", "x", "y", "z", "n", "k", "p", "q", "r", "t", "u", "v", "w", "a", "b", "c", "d", "f", "j", "o", "sqrt",
    "sin", "cos", "tan", "sec", "csc", "cot", "log", "ln", "exp", "mod", "modulo", "factorial", "choose", "base", "and",
    "or", "to", "plus", "minus", "times", "over", "squared", "cubed", "half", "halves", "third", "thirds", "fourth",
    "fourths", "fifth", "fifths", "sixth", "sixths", "seventh", "eighth", "eighths", "ninth", "ninths", "tenth", "tenths",
    "hundredth", "hundredths", "thousandth", "thousandths", "if", "when", "not", "is", "was", "are", "were", "but",
    "than", "infinity", "power", "divided", "multiplied", "negative", "radical", "root",
    "tens", "ones", "below", "doubled", "tripled", "halved",
})  # fmt: skip
SCALES = {"dozen": 12, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LONG_UNITS = {word for pair in _SHORT.items() for word in pair if len(word) > 1 and word not in ("in", "men")}
_FORMULA_UNIT = re.compile(r"(?P<formula>.*[^\s\\])\s+(?P<unit>[A-Za-z]{2,}(?:[\s/][A-Za-z]+)*\s*(?:\^\s*\{?[23]\}?)?)")
_WORD = re.compile(r"[A-Za-z][A-Za-z.']*|°[CF]?|%|[$¢]")
_GLUE = re.compile(r"[\s\-]*(?:/\s*)?")
_POWER = re.compile(r"\s*\^\s*\{?\s*(-?[123])\s*\}?(?!\d)")


def currency_before(text: str) -> tuple[str, str]:
    """A currency's sign or code at the start of a text, by its name, and what follows."""
    name, rest = "", text
    if code := _PREFIX.match(rest):
        name, rest = _CODES.get(code.group().strip(" .").lower(), "dollar"), rest[code.end() :]
    while rest and unicodedata.category(rest[0]) == "Sc":
        name, rest = _named(rest[0]), rest[1:].lstrip()
    return name, rest


def unit_behind(text: str) -> tuple[str, str] | None:
    """The currency and the unit that follow a number, each "" when there is none; None when more than a unit follows.

    Both come in one spelling: ``cm^2``, ``square centimeters`` and ``sq cm`` are one.
    """
    touching, text = text[:1].isalpha(), text.strip().rstrip(".").replace("(s)", "s")
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    currency, text = currency_before(text)
    parts: list[str] = []
    at = 0
    while at < len(text):
        slash = "/" if (glue := _GLUE.match(text, at)) and "/" in glue.group() else ""
        at = glue.end() if glue else at
        word = _WORD.match(text, at)
        if word is None:
            return None
        at = word.end()
        if not _may_be_unit(word.group(), text[at:], touching and not parts):
            return None
        name = _one_spelling(word.group())
        if (power := _POWER.match(text, at)) is not None:
            at = power.end()
            parts += {"2": ["square"], "3": ["cubic"], "1": []}.get(power[1], [power[1]])
        if slash or name in ("per", "each", "every") or (name == "a" and parts):
            name = "per" if not slash else f"per {name}"
        if name in MONEY and not currency and not parts:
            currency = name
        else:
            parts.append(name)
    return currency, " ".join(parts).replace("kilometer/hour", "kilometer per hour").replace("mile/hour", "mile per hour")


def formula_and_unit(text: str) -> tuple[str, str]:
    """A formula and the unit behind it, "" for none; letters that could be variables are no unit."""
    match = _FORMULA_UNIT.fullmatch(text)
    if match is None or not re.search(r"[\\\d]", match["formula"]):
        return text, ""
    words = re.findall("[A-Za-z]+", match["unit"])
    unit = unit_behind(f" {match['unit']}")
    if unit is None or not all(len(word) > 3 or word in _LONG_UNITS for word in words):
        return text, ""
    return match["formula"], " ".join(filter(None, unit))


def _may_be_unit(word: str, rest: str, touching: bool) -> bool:
    if not word[0].isalpha():
        return True
    if word == "a" and re.match(r"\s+[a-z]{2}", rest):  # a day
        return True
    if word.lower().rstrip(".") in _NOT_UNITS or (len(word) == 1 and word not in _SHORT):
        return False
    return word.rstrip(".") in _TOUCHING if touching else True


def _one_spelling(word: str) -> str:
    if word[0] == "°":
        return word if len(word) > 1 else "degree"
    if len(word) == 1 and unicodedata.category(word) == "Sc":
        return _named(word)
    word = word.rstrip(".")
    as_written = word if not (word.islower() or word.isupper() or word.istitle()) else word.lower()  # mW is not MW
    name = _SHORT.get(word) or _SHORT.get(word.lower()) or as_written
    name = _CODES.get(name, name)
    if len(name) > 4 and name.endswith("ies"):
        name = name[:-3] + "y"
    elif len(name) > 3 and name.endswith(("ses", "xes", "ches", "shes", "zes")):
        name = name[:-2]
    elif len(name) > 3 and name.endswith("s") and not name.endswith("ss"):
        name = name[:-1]
    return _SHORT.get(name, _CODES.get(name, name))


def _named(sign: str) -> str:
    return unicodedata.name(sign, "CURRENCY SIGN").split()[-2].lower()  # DOLLAR SIGN, INDIAN RUPEE SIGN
