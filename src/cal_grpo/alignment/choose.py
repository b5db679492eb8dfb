"""Which of several occurrences a quote means."""

from collections.abc import Sequence
from typing import Literal

from cal_grpo.alignment.decoded import Decoded
from cal_grpo.alignment.find import CharSpan
from cal_grpo.alignment.folding import fold
from cal_grpo.alignment.types import Miss

OnAmbiguous = Literal["first", "miss"]


def choose(response: Decoded, spans: Sequence[CharSpan], hint: str | None, on_ambiguous: OnAmbiguous) -> CharSpan | Miss:
    """The occurrence that the hint points to; without one that decides, the first, or a ``Miss`` where caution is asked.

    A hint is the text just before the quote ("" at the start), or the 0-based index of the step as digits: of the line
    that is not blank, as the steps of a solution are its lines.
    """
    if len(spans) == 1:
        return spans[0]
    if hint is not None:
        if hint.strip().isdecimal():
            on_line = [s for s in spans if _line(response.text, s.start) == int(hint)]
            if len(on_line) == 1:
                return on_line[0]
            spans = on_line or spans
        agreed = [_agreement(response.text[: s.start], hint) for s in spans]
        if agreed.count(max(agreed)) == 1:
            return spans[agreed.index(max(agreed))]
    if on_ambiguous == "first":
        return spans[0]
    return Miss("ambiguous", f"the quote occurs {len(spans)} times and the hint {hint!r:.60} does not decide")


def _line(text: str, at: int) -> int:
    return sum(1 for line in text[:at].split("\n")[:-1] if line.strip())


def _agreement(before: str, hint: str) -> int:
    """Letters, digits and signs in common, read backwards from the quote; white space and spelling do not count.

    A quote with nothing before it agrees best with an empty hint.
    """
    there, here = _ink(before[-4 * len(hint) - 64 :])[::-1], _ink(hint)[::-1]
    if not here:
        return 0 if there else 1
    count = 0
    while count < min(len(there), len(here)) and there[count] == here[count]:
        count += 1
    return count


def _ink(text: str) -> str:
    return "".join(fold(text)[0].split())
