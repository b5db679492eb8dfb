"""Which of several occurrences a quote means."""

from collections.abc import Sequence
from typing import Literal

from cal_grpo.alignment.find import CharSpan
from cal_grpo.alignment.folding import fold
from cal_grpo.alignment.types import Miss

OnAmbiguous = Literal["first", "miss"]

_ENOUGH = 8  # visible characters of a text before the quote that must agree, if it has as many
_LONGEST = 1000  # characters of it that are looked at


def choose(text: str, spans: Sequence[CharSpan], hint: str | None, on_ambiguous: OnAmbiguous) -> CharSpan | Miss:
    """The occurrence that the hint points to; without one that decides, the first, or a ``Miss`` where caution is asked.

    A hint is the text just before the quote ("" at the start), or the 0-based index of the step as digits: of the line
    that is not blank, as the steps of a solution are its lines. Where digits could be either, both readings must allow
    the occurrence.
    """
    if len(spans) > 1 and hint is not None:
        spans = _pointed_to(text, spans, hint) or spans
    if len(spans) == 1 or on_ambiguous == "first":
        return spans[0]
    return Miss("ambiguous", f"the quote occurs {len(spans)} times and the hint {hint!r:.60} does not decide")


def _pointed_to(text: str, spans: Sequence[CharSpan], hint: str) -> list[CharSpan]:
    preceded = _preceded(text, spans, hint)
    number = hint.strip()
    if not (number.isdecimal() and len(number) < 10):
        return preceded
    low, high = _line(text, int(number))
    on_line = [s for s in spans if low <= s.start < high]
    if on_line and preceded:
        return [s for s in on_line if s in preceded]
    return on_line or preceded


def _line(text: str, index: int) -> tuple[int, int]:
    """The characters of the line with that index, blank lines not counted; nothing if there is none."""
    at = 0
    for line in text.split("\n"):
        if line.strip():
            if index == 0:
                return at, at + len(line)
            index -= 1
        at += len(line) + 1
    return 0, 0


def _preceded(text: str, spans: Sequence[CharSpan], hint: str) -> list[CharSpan]:
    """The occurrences before which most of the hint stands, if that is enough not to be a coincidence."""
    said = _ink(hint[-_LONGEST:])[::-1]
    if not said:
        return [s for s in spans if not text[: s.start].strip()]
    agreed = [_agreement(_ink(text[max(0, s.start - 4 * len(said) - 64) : s.start])[::-1], said) for s in spans]
    most = max(agreed)
    return [s for s, n in zip(spans, agreed, strict=True) if n == most] if most >= min(len(said), _ENOUGH) else []


def _agreement(there: str, here: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(there, here, strict=False)) if x != y), min(len(there), len(here)))


def _ink(text: str) -> str:
    """Letters, digits and signs; white space, spelling and markdown do not count."""
    return "".join(c for c in fold(text)[0] if not c.isspace() and c not in "*×_`#$\\")
