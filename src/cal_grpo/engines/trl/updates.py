"""What is done when an update is made: looked at, told, and gone on from or not."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback

from cal_grpo.engines import OnMetrics, UpdateTally
from cal_grpo.engines.trl.policy import not_finite
from cal_grpo.engines.trl.processes import gathered, on_main
from cal_grpo.errors import RunFailed

_RENAMED = {"loss": "loss", "grad_norm": "grad_norm", "kl": "kl", "entropy": "entropy", "reward": "reward",
            "correction_loss": "correction_loss",
            "clip_ratio/region_mean": "clip_share", "completions/mean_length": "tokens_mean",
            "completions/min_length": "tokens_min", "completions/max_length": "tokens_max"}  # fmt: skip


class Updates(TrainerCallback):
    """Told by TRL's trainer, on every process, of each update before its checkpoint is written.

    Args:
        on_metrics: called on the main process with the update's row.
        should_stop: asked there whether another update shall be made.
    """

    def __init__(self, on_metrics: OnMetrics, should_stop: Callable[[], bool]) -> None:
        self._on_metrics, self._should_stop = on_metrics, should_stop
        self.trainer: Any = None
        self.tally: UpdateTally | None = None
        self._began = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.monotonic()

    # With logging_steps 1, TRL logs every update once, when it is made and before it saves (transformers 5.12.1,
    # trainer.py, ``_maybe_log_save_evaluate``); a training's last log has no loss.
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" not in (logs or {}):
            return
        self._check(state.global_step, logs)
        now = time.monotonic()
        row, self._began = self._row(state.global_step, logs, now - self._began), now
        last = state.global_step >= state.max_steps

        def tell() -> bool:
            self._on_metrics(row)
            return last or self._should_stop()

        if on_main(tell):
            control.should_training_stop = control.should_save = True

    def aside(self, seconds: float) -> None:
        """So many seconds went into something else."""
        self._began += seconds

    def _row(self, step: int, logs: dict[str, Any], seconds: float) -> dict[str, Any]:
        row: dict[str, Any] = {"step": step, "seconds": seconds, "compile_seconds": 0.0}
        if self.tally is not None:
            row |= {"accuracy": self.tally.accuracy, "tokens": float(self.tally.tokens)}
        for name, value in logs.items():
            if name in _RENAMED or name.startswith("cal/"):
                row[_RENAMED.get(name, name)] = math.nan if value is None else float(value)
        return row

    def _check(self, step: int, logs: dict[str, Any]) -> None:
        """See that an update is finite: loss, norm of the gradient, parameters, optimizer state.

        Raises:
            RunFailed: on all processes, it is not on one.
        """
        wrong = [f"{name} {logs[name]}" for name in ("loss", "grad_norm") if not math.isfinite(logs.get(name, 0.0))]
        trained = {name: p.detach() for name, p in self.trainer.model.named_parameters() if p.requires_grad}
        if name := not_finite(trained):
            wrong.append(f"parameter {name}")
        state = getattr(self.trainer.optimizer, "state", {})
        moments = {f"{i}.{key}": t for i, of in enumerate(state.values()) for key, t in of.items() if torch.is_tensor(t)}
        if name := not_finite(moments):
            wrong.append(f"optimizer state {name}")
        if everywhere := list(dict.fromkeys(gathered(wrong))):
            raise RunFailed(
                f"update {step} is not finite ({', '.join(everywhere)}): the run was stopped, and no checkpoint "
                "of it was written; begin again with a lower learning_rate, or look for the credit that is not finite",
                "not finite", step - 1,
            )  # fmt: skip
