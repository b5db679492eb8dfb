"""Are there spans? A run whose judge names no errors learns something else than it was asked to, which is said."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from cal_grpo.pipeline import TRUNCATED

UPDATES = 5
FEWEST = 10  # wrong answers; of fewer a share says little
_MISSED = "cal/missed/"


class FoundShare:
    """The share of the judged wrong answers that have a span, over the last five updates.

    Args:
        least: the share below which it is told, in [0, 1]; once, and again where it was better meanwhile.
        otherwise: what answers without a span get, in words.
        tell: hears it.

    Attributes:
        low: whether the share is below it now.
        said: what was told last.
    """

    def __init__(self, least: float, otherwise: str, tell: Callable[[str], None]) -> None:
        self.low, self.said = False, ""
        self._least, self._otherwise, self._tell = least, otherwise, tell
        self._rows: deque[Mapping[str, Any]] = deque(maxlen=UPDATES)

    def add(self, row: Mapping[str, Any]) -> None:
        """An update was made; ``row`` is its line of ``metrics.jsonl``."""
        self._rows.append(row)
        self._look(FEWEST)

    def end(self) -> None:
        """No other update comes: however few answers there were."""
        self._look(1)

    def _look(self, fewest: int) -> None:
        asked, found = (sum(int(row.get(f"cal/{name}") or 0) for row in self._rows) for name in ("asked", "found"))
        if asked < fewest:
            return
        was_low, self.low = self.low, found < self._least * asked
        if self.low and not was_low:
            why: Counter[str] = Counter()
            for row in self._rows:
                why.update({name.removeprefix(_MISSED): int(n) for name, n in row.items() if name.startswith(_MISSED) and n})
            del why[TRUNCATED]  # about these nobody was asked
            reasons = ", ".join(f"{reason} {count}" for reason, count in why.most_common(3))
            self.said = (
                f"FEW SPANS: {found} of the {asked} judged answers of the last {len(self._rows)} updates have one, less than "
                f"oracle.min_found={self._least:g} ({reasons or 'no reason is known'}); the others get {self._otherwise}"
            )
            self._tell(self.said)
