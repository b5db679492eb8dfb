"""What code of yours hears of a training, and how it stops one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cal_grpo.config import TrainConfig
from cal_grpo.engines import UpdateTally
from cal_grpo.pipeline import Credited

Metrics = Mapping[str, Any]


class Callback:
    """Hears of a training and does nothing: override what you want to hear. What a method raises ends the training."""

    def on_start(self, run: Path, config: TrainConfig, past: Sequence[Metrics]) -> None:
        """A training begins or goes on.

        Args:
            run: its folder.
            config: as ``config.yaml`` has it.
            past: the metrics of the updates that a resumed run had made, for which ``on_update`` is not called again.
        """

    def on_credit(self, tally: UpdateTally, credited: Credited) -> None:
        """A micro-batch was sampled and credited: its answers, verdicts, spans and advantages.

        Called in order, beside the update, on a thread of the engine's. ``tally`` is the update it belongs to, so far.
        """

    def on_update(self, metrics: Metrics) -> None:
        """An update was made; ``metrics`` is its row of ``metrics.jsonl``."""

    def should_stop(self) -> bool:
        """Asked before each update; True stops the run in good order: checkpoint, policy and summary are written."""
        return False

    def on_end(self, summary: Metrics | None) -> None:
        """The training is over; ``summary`` is that of ``summary.json``, or None if it failed. Called in any case."""
