"""Tunix's scattered metrics, gathered into one row an update."""

from collections.abc import Callable
from typing import Any

import numpy as np

_RENAMED = {"actor/loss": "loss", "actor/kl": "kl", "actor/grad_norm": "grad_norm", "actor/pg_clipfrac": "clip_share",
            "actor/entropy": "entropy", "actor/correction_loss": "correction_loss",
            "rewards/score/mean": "reward", "completions/mean_length": "tokens_mean",
            "completions/max_length": "tokens_max", "completions/min_length": "tokens_min"}  # fmt: skip


class RowBackend:
    """A Tunix logging backend that gathers rows ``{"step": update, name: value, ...}``.

    Tunix logs an actor's metrics under the number of the finished update and everything else under the zero-based
    global step.
    """

    def __init__(self, emit: Callable[[dict[str, Any]], None]) -> None:
        self._emit = emit
        self._rows: dict[int, dict[str, Any]] = {}

    def add(self, step: int, values: dict[str, Any]) -> None:
        """More values for an update."""
        self._rows.setdefault(step, {"step": step}).update(values)

    def log_scalar(self, event: str, value: Any, **kwargs: Any) -> None:
        prefix, _, name = event.partition("/")
        mode, _, name = name.partition("/")
        if mode != "train" or np.ndim(value) != 0:
            return
        full = f"{prefix}/{name}"
        full = _RENAMED.get(full, full)
        if full.startswith(("global/", "perf", "actor/", "rewards/", "completions/")):
            return
        self.add(int(kwargs["step"]) + (0 if prefix == "actor" else 1), {full: float(value)})

    def emit(self, step: int) -> None:
        """The row of an update is complete."""
        self._emit(self._rows.pop(step))

    def close(self) -> None:
        """Emit nothing from now on: what is left is of an update that was not made."""
        self._rows.clear()
        self._emit = lambda row: None


def emit_before_checkpoints(rl_cluster: Any, rows: RowBackend) -> None:
    """Emit an update's row as soon as the update is made, and before its checkpoint is written.

    Tunix logs the actor's metrics an update late and the others when the next update begins (tunix 0.1.7,
    sft/peft_trainer.py, ``_write_train_metrics``; rl/rl_cluster.py, ``buffer_metrics``). A run that was killed in between
    would have a checkpoint whose last rows nobody can make again. Both are written out here as when a cluster is closed.
    """
    trainer = rl_cluster.actor_trainer
    save = trainer.checkpoint_manager.save

    def emit_and_save(step: int, *args: Any, **kwargs: Any) -> Any:
        if not kwargs.get("force"):  # Tunix's last checkpoint, of an update whose row is out
            trainer._write_train_metrics()
            for buffered in rl_cluster._buffered_train_metrics:
                rl_cluster._log_metrics(buffered)
            rl_cluster._buffered_train_metrics.clear()
            rows.emit(step)
        return save(step, *args, **kwargs)

    trainer.checkpoint_manager.save = emit_and_save
