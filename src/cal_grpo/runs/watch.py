"""What a run tells whoever is watching it."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cal_grpo.engines import UpdateTally
from cal_grpo.errors import one_line
from cal_grpo.processes import leads

_LOG = logging.getLogger("cal_grpo.runs")
_KEPT = 100  # notes


class Watcher:
    """Hears about a run's progress and does nothing but log its notes; the command line shows it instead."""

    def begin(self, device: str, folder: Path) -> None:
        """The policy is loaded: what it runs on, and the folder that is written."""

    def stage(self, name: str, total: int = 0) -> None:
        """A new part of the run begins; ``total`` units of work, 0 if not known."""

    def advance(self, done: int) -> None:
        """``done`` units of the current stage are finished."""

    def update(self, tally: UpdateTally) -> None:
        """A micro-batch was sampled and credited; ``tally`` is its update so far, the same object until the next begins."""

    def made(self, row: Mapping[str, Any]) -> None:
        """An update was made; ``row`` is its line of ``metrics.jsonl``."""

    def evaluated(self, when: str, right: int, questions: int) -> None:
        """The held-out questions were asked ``before`` or ``after`` training, or ``after update N`` of it."""

    def standing(self, text: str) -> None:
        """The result so far, in a line; the next one takes its place."""

    def note(self, text: str) -> None:
        """One line that a person should not miss: a warning of the logger ``cal_grpo.runs``."""
        if leads():
            _LOG.warning(one_line(text))


class Notes:
    """Hands notes on as they come, and keeps the first hundred different ones for the summary.

    Args:
        watcher: hears them.

    Attributes:
        kept: those, as single lines.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher, self._lock = watcher, threading.Lock()  # an oracle tells from its own thread
        self.kept: list[str] = []

    def __call__(self, text: str) -> None:
        self.keep([one_line(text)])
        self._watcher.note(text)

    def keep(self, notes: list[str]) -> None:
        """Keep notes that were told before."""
        with self._lock:
            self.kept = list(dict.fromkeys([*self.kept, *notes]))[:_KEPT]
