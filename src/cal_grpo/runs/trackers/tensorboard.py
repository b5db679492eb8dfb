"""The metrics as TensorBoard's events, in the run's folder."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from tensorboardX import FileWriter
from tensorboardX.proto.summary_pb2 import Summary

from cal_grpo.config import TrainConfig
from cal_grpo.runs.callbacks import Callback, Metrics
from cal_grpo.runs.trackers.numbers import numbers


class TensorBoard(Callback):
    """Writes ``tensorboard/``. A resumed run's events are written anew: their file has no way to take back a step."""

    def __init__(self) -> None:
        self._writer: FileWriter | None = None

    def on_start(self, run: Path, config: TrainConfig, past: Sequence[Metrics]) -> None:
        shutil.rmtree(run / "tensorboard", ignore_errors=True)
        self._writer = FileWriter(str(run / "tensorboard"))
        at = time.time() - sum(row.get("seconds") or 0 for row in past)
        for row in past:
            at += row.get("seconds") or 0
            self._write(row, at)

    def on_update(self, metrics: Metrics) -> None:
        self._write(metrics, time.time())

    def on_end(self, summary: Metrics | None) -> None:
        if self._writer is not None:
            self._writer.close()

    def _write(self, row: Metrics, at: float) -> None:
        assert self._writer is not None
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers(row).items()]
        self._writer.add_summary(Summary(value=values), row["step"], at)
