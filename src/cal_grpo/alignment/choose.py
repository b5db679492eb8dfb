"""Which of several occurrences a quote means."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal

from cal_grpo.alignment.decoded import Decoded
from cal_grpo.alignment.find import CharSpan
from cal_grpo.alignment.folding import ink
from cal_grpo.alignment.types import Miss

OnAmbiguous = Literal["first", "miss"]

_ENOUGH = 8  # visible characters that must agree of a text before the quote, if it has as many


def choose(response: Decoded, spans: Sequence[CharSpan], hint: str | None, on_ambiguous: OnAmbiguous) -> CharSpan | Miss:
    """The occurrence that the hint points to; without one that decides, the first, or a ``Miss`` where caution is asked.

    A hint is the text before the quote ("" at the start), or the 0-based index of the step as digits: of the line that
    is not blank, as the steps of a solution are its lines. Where digits could be either, both readings must allow the
    occurrence.

    Args:
        response: what the quote is from.
        spans: where it occurs, by start and by end; at least one. Of those with the same end the last is meant, if the
            hint does not say otherwise.
        hint: None if there is none.
        on_ambiguous: "first" or "miss".
    """
    if len(spans) > 1 and hint is not None:
        spans = _pointed_to(response, spans, hint) or spans
    spans = [s for s, following in zip(spans, [*spans[1:], None], strict=True) if not following or s.end < following.end]
    if len(spans) == 1 or on_ambiguous == "first":
        return spans[0]
    return Miss("ambiguous", f"the quote occurs {len(spans)} times and the hint {hint!r:.60} does not decide")


def _pointed_to(response: Decoded, spans: Sequence[CharSpan], hint: str) -> Sequence[CharSpan]:
    if not hint.strip():
        return [s for s in spans if not response.text[: s.start].strip()]
    number = hint.strip()
    if not (number.isdecimal() and len(number) < 10):
        return _preceded(response, spans, hint) or _following(response, spans, hint)
    low, high = _line(response.text, int(number))
    on_line = [s for s in spans if low <= s.start < high]
    preceded = _preceded(response, spans, hint)
    return [s for s in on_line if s in preceded] if on_line and preceded else on_line or preceded


def _preceded(response: Decoded, spans: Sequence[CharSpan], hint: str) -> list[CharSpan]:
    """The occurrences directly before which the hint stands, or most of it in some spelling."""
    said = hint.strip()
    ends = [len(response.text[max(0, s.start - 64) : s.start].rstrip()) + max(0, s.start - 64) for s in spans]
    exactly = [s for s, end in zip(spans, ends, strict=True) if response.text.endswith(said, 0, end)]
    if exactly:
        return exactly
    said, (text, origin) = ink(hint)[0], response.ink
    agreed = [_agreement(text, bisect_left(origin, s.start), said) for s in spans]
    most = max(agreed)
    return [s for s, n in zip(spans, agreed, strict=True) if n == most >= min(max(len(said), 1), _ENOUGH)]


def _following(response: Decoded, spans: Sequence[CharSpan], hint: str) -> list[CharSpan]:
    """The next occurrence after the hint, if that is there once and long enough not to be a coincidence."""
    said, (text, origin) = ink(hint)[0], response.ink
    at = text.find(said) if len(said) >= _ENOUGH else -1
    if at < 0 or text.find(said, at + 1) >= 0:
        return []
    return [s for s in spans if bisect_left(origin, s.start) >= at + len(said)][:1]


def _agreement(text: str, at: int, said: str) -> int:
    """How many characters before ``at`` are the last ones of what was said."""
    low, step = 0, 16
    while step:  # doubled while all of them agree, halved after that
        n = min(low + step, len(said), at)
        agrees = n > low and text.startswith(said[len(said) - n : len(said) - low], at - n)
        low, step = (n, step * 2) if agrees else (low, step // 2)
    return low


def _line(text: str, index: int) -> tuple[int, int]:
    """The characters of the line with that index, blank lines not counted; none if there is no such line."""
    at = 0
    for line in text.split("\n"):
        if line.strip():
            if index == 0:
                return at, at + len(line)
            index -= 1
        at += len(line) + 1
    return 0, 0
