"""The JSON object in a model's answer, wherever it stands and however it is spelt."""

import json
import re
from collections.abc import Callable
from typing import Any

Fits = Callable[[dict[str, Any]], bool]

_LONGEST_TO_MEND = 16_384  # characters
_MOST_TRIED = 64  # places where an object may begin
# A backslash that JSON knows nothing of, as in "\(x\)" or "\underline"; the legal ones are matched first, and kept.
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')
_OPENS = re.compile(r"\{\s*[\"'“‘`\w]")
_CLOSES = re.compile(r"""(?:["'”’`]|[:=]\s*(?:-?\d+|null|None|true|false))\s*,?\s*\}\s*\Z""")
_NAMES = r"think(?:ing)?|thoughts?|reasoning|analysis|seed:think"
_THINKS = re.compile(rf"\s*(?:<(?:{_NAMES})>|\[THINK\]|◁think▷)", re.IGNORECASE)
_THOUGHT = re.compile(rf"</(?:{_NAMES})>|\[/THINK\]|◁/think▷|<\|message\|>", re.IGNORECASE)
_DECODER = json.JSONDecoder(strict=False)  # raw line breaks and tabs in a text are what they are


def objects_in(text: str, fits: Fits) -> list[dict[str, Any]]:
    """The objects of an answer that fit, in order; the last is what the model came to.

    Thoughts in front are passed over, and so are prose, fences, and objects of another kind. An object in single quotes,
    with a comma too many or with quotes that are not escaped is mended; one that has no end is not: what is missing could be
    part of the quote.
    """
    found: list[dict[str, Any]] = []
    for body in _bodies(text):
        found = [one for value in _strict(body) if (one := _inner(value, fits)) is not None]
        if not found:
            found = [one for value in _mended(body) if (one := _inner(value, fits)) is not None]
        if found:
            break
    return found


def _bodies(text: str) -> list[str]:
    """The answer as it is where it is all JSON, and what stands behind its thoughts."""
    ends = [match.end() for match in _THOUGHT.finditer(text)]
    behind = text[ends[-1] :] if ends else "" if _THINKS.match(text) else text
    return [text, behind] if text.lstrip()[:1] in ("{", "[", '"') else [behind]


def _strict(body: str) -> list[Any]:
    body = _ESCAPE.sub(lambda m: m[0] if len(m[0]) > 1 else r"\\", body)
    try:
        return [_DECODER.decode(body.strip())]
    except (ValueError, RecursionError):
        pass
    starts = [match.start() for match in _OPENS.finditer(body)]
    found, end = [], 0
    for start in starts if len(starts) <= _MOST_TRIED else starts[: _MOST_TRIED // 2] + starts[-_MOST_TRIED // 2 :]:
        if start >= end:  # else it is part of an object that was read
            try:
                value, end = _DECODER.raw_decode(body, start)
            except (ValueError, RecursionError):
                continue
            found.append(value)
    return found


def _mended(body: str) -> list[Any]:
    start, end = body.find("{"), body.rfind("}") + 1
    if not 0 <= start < end <= start + _LONGEST_TO_MEND or not _CLOSES.search(body[start:end]):
        return []
    from json_repair import loads

    try:
        return [loads(body[start:end], skip_json_loads=True)]
    except (ValueError, RecursionError):
        return []


def _inner(value: Any, fits: Fits, depth: int = 2) -> dict[str, Any] | None:
    """The object itself, in whatever it is wrapped: a list of one, a field of its own, a text that is JSON again."""
    if isinstance(value, dict):
        value = {str(name).strip().lower(): part for name, part in value.items()}
        if fits(value):
            return value
    if depth == 0:
        return None
    if isinstance(value, str):
        try:
            return _inner(_DECODER.decode(value), fits, depth - 1)
        except (ValueError, RecursionError):
            return None
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    inner = [one for part in parts if (one := _inner(part, fits, depth - 1)) is not None]
    return inner[0] if len(inner) == 1 else None
