"""Tunix's scattered metrics, gathered into one row an update."""

from collections.abc import Callable
from typing import Any

import numpy as np

_RENAMED = {"actor/loss": "loss", "actor/kl": "kl", "actor/grad_norm": "grad_norm", "actor/pg_clipfrac": "clip_share",
            "actor/entropy": "entropy", "rewards/score/mean": "reward", "completions/mean_length": "tokens_mean",
            "completions/max_length": "tokens_max", "completions/min_length": "tokens_min"}  # fmt: skip


class RowBackend:
    """A Tunix logging backend that emits rows ``{"step": update, name: value, ...}`` in order.

    Tunix logs an actor's metrics under the number of the finished update and everything else under the zero-based
    global step, each a step or two late; a row is emitted once nothing more can come for it.
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
        step = int(kwargs["step"]) + (0 if prefix == "actor" else 1)
        self.add(step, {full: float(value)})
        for finished in sorted(s for s in self._rows if s < step - 1):
            self._emit(self._rows.pop(finished))

    def close(self) -> None:
        """Emit what is left, and nothing from then on."""
        for step in sorted(self._rows):
            self._emit(self._rows.pop(step))
        self._emit = lambda row: None
