"""Going on with a run that was stopped: its config, what it had done, and its files cut back to a checkpoint."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cal_grpo.config import TrainConfig, load_resolved
from cal_grpo.errors import UsageError
from cal_grpo.jsonlines import scan_jsonl

Row = Mapping[str, Any]

DATA = "data.sha256"
BETWEEN = "between"  # an evaluation between updates
_BUDGET = ("oracle.max_calls", "oracle.max_tokens", "oracle.max_usd")
# What may change: how far a run goes, what it may cost and who hears of it. No update so far would have been another one.
CHANGEABLE = ("num_train_steps", *_BUDGET, "oracle.min_found", "tracker")


@dataclass(frozen=True)
class Past:
    """What a run had done up to the checkpoint it goes on from; nothing, for a run that begins.

    Attributes:
        updates: how many it had made.
        rows: its metrics, a row an update.
        before: its answers to the held-out questions before training.
        between: those between its updates; each row names the update.
        sizes: by name, the bytes of each of its files that stay.
    """

    updates: int = 0
    rows: Sequence[Row] = ()
    before: Sequence[Row] = ()
    between: Sequence[Row] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)

    def total(self, name: str) -> float:
        """A metric, summed over the updates."""
        return float(sum(row.get(name) or 0 for row in self.rows))

    @property
    def missed(self) -> Counter[str]:
        """How often an answer had no span, by reason."""
        prefix = "cal/missed/"
        reasons = {name for row in self.rows for name in row if name.startswith(prefix)}
        return Counter({name.removeprefix(prefix): int(self.total(name)) for name in reasons})


def resumed_config(run: Path, changes: Mapping[str, Any]) -> TrainConfig:
    """The config with which a run goes on: its own, and what may be changed.

    Raises:
        UsageError: no run is there, or the change would make it another run.
    """
    file = run / "config.yaml"
    if not file.is_file():
        raise UsageError(f"{run} holds no run: there is no {file.name}; expected the folder that cal-grpo train wrote")
    if refused := [key for key in changes if key not in CHANGEABLE]:
        raise UsageError(
            f"--resume got {refused[0]!r}, but a run goes on with its own config; only {', '.join(CHANGEABLE)} can be changed"
        )
    updates = load_resolved(file, {}).num_train_steps
    config = load_resolved(file, changes)
    if config.num_train_steps < updates:
        raise UsageError(f"num_train_steps is {config.num_train_steps}, but {run} has {updates}; expected as many or more")
    if (summary := read_summary(run)).get("stopped") == "budget" and not set(changes) & set(_BUDGET):
        raise UsageError(
            f"{run} was stopped by its budget after {summary['steps']} of {config.num_train_steps} updates; "
            f"expected a larger one, such as --set {_BUDGET[0]}=N"
        )
    return config.model_copy(update={"output_dir": run})


def read_summary(run: Path) -> dict[str, Any]:
    """A run's summary.json; empty where there is none, or one that was cut off."""
    try:
        return dict(json.loads((run / "summary.json").read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def check_data(run: Path, digest: str) -> None:
    """Refuse to go on with other questions, prompts or answers than the run's own; ``data.sha256`` has their digest.

    Raises:
        UsageError: they are not the same. A run from before there was a digest is not checked.
    """
    with contextlib.suppress(OSError):
        if (run / DATA).read_text().strip() not in ("", digest):
            raise UsageError(
                f"{run}: the questions are not those that the run began with; expected the same data, "
                "or a new run with another --output"
            )


def is_finished(config: TrainConfig) -> bool:
    """Whether the run in ``output_dir`` made all its updates and its last evaluation."""
    summary = read_summary(config.output_dir or Path())
    return bool(summary) and summary.get("stopped") is None and summary.get("steps", 0) >= config.num_train_steps


def kept_part(file: Path, keep: Callable[[Row], bool], rows: list[Row] | None = None) -> int:
    """How many bytes of a JSONL file stay: all before the first line that is not to be kept, or that was left half written.

    Nothing is changed; whoever calls cuts with ``cut_to``. 0 where there is no file.

    Args:
        file: the file.
        keep: whether an object's line stays, and with it all before.
        rows: gets the objects that stay.

    Raises:
        UsageError: it cannot be read, or a whole line of that part is not what the program writes.
    """
    end = 0
    try:
        for line in scan_jsonl(file):
            if not line.ended:
                break
            try:
                if line.row is None:
                    raise ValueError(line.reason)
                if not keep(line.row):
                    break
            except (ValueError, LookupError, TypeError) as e:
                raise UsageError(
                    f"{file}, line {line.number}: not a line of a run ({type(e).__name__}: {e}); correct or remove it, "
                    "then resume"
                ) from e
            end += line.size
            if rows is not None:
                rows.append(line.row)
    except FileNotFoundError:
        return 0
    except OSError as e:
        raise UsageError(f"{file}: cannot be read ({e.strerror or e}); check its permissions, then resume") from e
    return end


def cut_to(file: Path, size: int) -> None:
    """Leave so many bytes of a file, if there is one. Whenever this is killed, the file is as it was or as it shall be.

    Raises:
        UsageError: it cannot be written. It is left as it was.
    """
    try:
        os.truncate(file, size)
    except FileNotFoundError:
        return
    except OSError as e:
        raise UsageError(f"{file}: cannot be cut off ({e.strerror or e}); check its permissions, then resume") from e
