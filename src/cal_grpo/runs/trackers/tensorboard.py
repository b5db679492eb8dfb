"""The metrics as TensorBoard's events, in the run's folder."""

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary

from cal_grpo.config import TrainConfig
from cal_grpo.runs.callbacks import Callback, Metrics
from cal_grpo.runs.trackers.numbers import numbers


class TensorBoard(Callback):
    """Writes ``tensorboard/``. A resumed run's events are written anew: their file has no way to take back a step.

    Not with ``FileWriter``, whose thread and exit handler each print a traceback when the disk is full (tensorboardX 2.6.5).
    """

    def __init__(self) -> None:
        self._writer: EventsWriter | None = None

    def on_start(self, run: Path, config: TrainConfig, past: Sequence[Metrics]) -> None:
        shutil.rmtree(run / "tensorboard", ignore_errors=True)
        (run / "tensorboard").mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(run / "tensorboard" / "events"))
        at = time.time() - sum(row.get("seconds") or 0 for row in past)
        for row in past:
            at += row.get("seconds") or 0
            self._write(row, at)

    def on_update(self, metrics: Metrics) -> None:
        self._write(metrics, time.time())

    def on_end(self, summary: Metrics | None) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):  # what could not be written was told when it could not
                self._writer.close()

    def _write(self, row: Metrics, at: float) -> None:
        assert self._writer is not None
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers(row).items()]
        self._writer.write_event(Event(summary=Summary(value=values), step=row["step"], wall_time=at))
        self._writer.flush()
