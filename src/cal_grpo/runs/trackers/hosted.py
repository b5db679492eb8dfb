"""The metrics in Weights & Biases and in trackio, which has the same interface.

A resumed run is another run of the same name there, with the updates it had made written again, so that each run is a whole
curve: neither service takes back the updates that were made after the checkpoint.
"""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.runs.callbacks import Callback, Metrics
from cal_grpo.runs.trackers.numbers import numbers

_PROJECT = "cal-grpo"


class _Hosted(Callback):
    """Logs each row under its update's number."""

    def __init__(self) -> None:
        self._run: Any = None

    def _begin(self, run: Path, config: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def _finish(self, failed: bool) -> None:
        self._run.finish()

    def on_start(self, run: Path, config: TrainConfig, past: Sequence[Metrics]) -> None:
        with _stdout_kept():
            self._run = self._begin(run, config.model_dump(mode="json"))
        for row in past:
            self.on_update(row)

    def on_update(self, metrics: Metrics) -> None:
        self._run.log(numbers(metrics), step=metrics["step"])

    def on_end(self, summary: Metrics | None) -> None:
        if self._run is not None:
            with _stdout_kept():
                self._finish(failed=summary is None)


class WeightsAndBiases(_Hosted):
    """``wandb``: the project is ``WANDB_PROJECT``, ``cal-grpo`` by default. ``WANDB_MODE=offline`` writes to the run's folder.

    Raises:
        UsageError: it is online and has no key.
    """

    def __init__(self) -> None:
        import wandb

        super().__init__()
        try:
            logged_in = wandb.setup().settings.mode != "online" or wandb.login(prompt=False)
        except Exception as e:
            raise UsageError(f"tracker 'wandb' cannot log in ({' '.join(str(e).split())}); set WANDB_MODE=offline") from e
        if not logged_in:
            raise UsageError("tracker 'wandb' got no key; set WANDB_API_KEY, run wandb login, or set WANDB_MODE=offline")

    def _begin(self, run: Path, config: Mapping[str, Any]) -> Any:
        import wandb

        project = os.environ.get("WANDB_PROJECT", _PROJECT)
        # Its capture of what is printed would tear the live panel.
        return wandb.init(project=project, name=run.name, dir=str(run), config=dict(config), settings={"console": "off"})

    def _finish(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class Trackio(_Hosted):
    """``trackio``: on this machine, or where its environment variables say; the project is ``cal-grpo``."""

    def _begin(self, run: Path, config: Mapping[str, Any]) -> Any:
        import trackio

        return trackio.init(project=_PROJECT, name=run.name, config=dict(config))


@contextlib.contextmanager
def _stdout_kept() -> Any:
    """What they say goes to stderr: stdout is for ``--json``."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
