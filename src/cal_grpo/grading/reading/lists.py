"""Tuples, intervals, sets, lists and matrices, taken apart at their top level."""

import itertools
import re
from dataclasses import dataclass

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_MATRIX = re.compile(
    r"\\begin\{([pbBvV]?)(?:small)?(?:matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1(?:small)?(?:matrix|array)\}", re.DOTALL
)
_FRAMED = re.compile(
    r"([(\[|])\s*(\\begin\{(?:small)?(?:matrix|array)\}.*\\end\{(?:small)?(?:matrix|array)\})\s*[)\]|]", re.DOTALL
)
_NAMES = re.compile(
    r"\(\s*([A-Za-z](?:_\{?\w+\}?)?(?:\s*,\s*[A-Za-z](?:_\{?\w+\}?)?)+)\s*\)\s*(?:=|\\in(?![A-Za-z]))\s*(?=[({\\])"
)
_MEASURE = re.compile(r"\d[\d.,]*\s*[A-Za-z]{2,}")
_MEASURES = re.compile(rf"(?:{_MEASURE.pattern}\s+){{1,3}}{_MEASURE.pattern}")
_THOUSANDS = re.compile(r"(?<!\d)\d{1,3}(?:,\d{3})+(?!\d|,\d)")
_JOINT = re.compile(r"\s*(?:[,;]\s*(?:(?:and|or)\s+)?|\s(?:and|or)\s)\s*")
_MAX_ITEMS, _MAX_DEPTH = 64, 8
_LESS = r"\s*(<=?|\\le(?![A-Za-z]))\s*"
_MORE = r"\s*(>=?|\\ge(?![A-Za-z]))\s*"
_SIDE, _UNKNOWN = r"([^<>=]*?)", r"[A-Za-z]"
_BETWEEN = re.compile(f"{_SIDE}{_LESS}{_UNKNOWN}{_LESS}{_SIDE}")
_BELOW, _ABOVE = re.compile(f"{_UNKNOWN}{_LESS}{_SIDE}"), re.compile(f"{_UNKNOWN}{_MORE}{_SIDE}")


@dataclass(frozen=True, slots=True)
class Items:
    """``kind`` is the pair of brackets, "" for a bare list, ``cup`` for a union, or ``matrix`` or ``determinant``."""

    kind: str
    items: tuple[str, ...]

    @property
    def is_ordered(self) -> bool:
        return self.kind not in ("", "{}", "cup")

    @property
    def is_interval(self) -> bool:
        return self.kind in ("()", "[]", "[)", "(]", "cup")


def take_apart(text: str) -> Items | None:
    """The items of a plain text that lists several things, else None."""
    text = text.strip()
    if max(itertools.accumulate((sign in "([{") - (sign in ")]}") for sign in text), default=0) > _MAX_DEPTH:
        return None
    if named := _NAMES.match(text):
        return _named(named[1], text[named.end() :])
    if _MEASURES.fullmatch(text):
        return Items("", tuple(_MEASURE.findall(text)))  # 2 hours 30 minutes
    framed = _FRAMED.fullmatch(text)
    if matrix := _MATRIX.fullmatch(framed[2] if framed else text):
        kind = "determinant" if matrix[1] in ("v", "V") or (framed and framed[1] == "|") else "matrix"
        rows = [row for row in re.split(r"\\\\", matrix[2]) if row.strip()]
        return Items(kind, tuple(cell.strip() for row in rows for cell in (*row.split("&"), ";")))
    union = _split(text, re.compile(r"\s*\\cup(?![A-Za-z])\s*"))
    if len(union) > 1:
        return Items("cup", union)
    kind, inside = _unbracketed(text)
    tight = not kind or re.search(r",\s", inside) is not None  # (1,234) is a pair, (1,234, 5,678) of thousands too
    items = _split(_THOUSANDS.sub(lambda m: m[0].replace(",", "\0"), inside) if tight else inside, _JOINT)
    items = tuple(item.replace("\0", ",") for item in items)
    if kind == "{}" and len(items) == 1 and items[0]:
        return Items(kind, items)
    return Items(kind, items) if 1 < len(items) <= _MAX_ITEMS and all(items) else None


def _named(names: str, values: str) -> Items | None:
    """``x=3, y=4`` for ``(x,y)=(3,4)``; of several such tuples the names alone are dropped."""
    found, each = take_apart(values), [name.strip() for name in names.split(",")]
    if found is None or found.kind != "()" or len(found.items) != len(each):
        return found
    return Items("", tuple(f"{name} = {value}" for name, value in zip(each, found.items, strict=True)))


def as_interval(text: str) -> Items | None:
    """``[3,\\infty)`` for ``x \\ge 3``, and the union for ``x < 1 or x > 3``; None for anything else."""
    parts = [_one_interval(part) for part in _split(text.strip(), re.compile(r"\s+or\s+"))]
    if None in parts:
        return None
    if len(parts) == 1:
        return take_apart(parts[0] or "")
    return Items("cup", tuple(part or "" for part in parts))


def _one_interval(text: str) -> str | None:
    if between := _BETWEEN.fullmatch(text):
        low, left, right, high = between.groups()
        return f"{'(' if left == '<' else '['}{low}, {high}{')' if right == '<' else ']'}"
    if below := _BELOW.fullmatch(text):
        return f"(-\\infty, {below[2]}{')' if below[1] == '<' else ']'}"
    if above := _ABOVE.fullmatch(text):
        return f"{'(' if above[1] == '>' else '['}{above[2]}, \\infty)"
    return None


def _unbracketed(text: str) -> tuple[str, str]:
    """The brackets around the whole of a text, "" for none, and what they hold."""
    text = text.replace("\\{", "{").replace("\\}", "}")
    if text[:1] not in _PAIRS or text[-1:] not in _PAIRS.values():
        return "", text
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in _PAIRS) - (sign in _PAIRS.values())
        if depth == 0 and at < len(text) - 1:
            return "", text
    kind = text[0] + text[-1]
    return (kind, text[1:-1].strip()) if kind in ("()", "[]", "{}", "[)", "(]", "][", "]]", "[[") else ("", text)


def _split(text: str, separator: re.Pattern[str]) -> tuple[str, ...]:
    items, depth, start, at = [], 0, 0, 0
    while at < len(text):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth <= 0 and (found := separator.match(text, at)) and found.end() > at:
            items.append(text[start:at].strip())
            start = at = found.end()
        else:
            at += 1
    return (*items, text[start:].strip())
