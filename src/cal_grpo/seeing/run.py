"""A run folder, read back. It may be of a run that goes on, was killed, or was edited by hand."""

import difflib
import json
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from cal_grpo.errors import UsageError
from cal_grpo.jsonlines import OnBytes, counted_lines, read_jsonl_with_notes
from cal_grpo.seeing.finite import finite
from cal_grpo.seeing.rollout import Rollout

_MARKS = ("config.yaml", "metrics.jsonl", "samples.jsonl", "eval.jsonl", "judge.jsonl", "summary.json")


class Answer(BaseModel):
    """One line of ``eval.jsonl``: a greedy answer to a held-out question."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    question: str
    correct: bool
    response: str = ""
    update: int = 0


class Run:
    """Files are read when they are first asked for; what could not be read is told in ``notes``.

    Args:
        path: a run folder.
        name: what to call it; the folder's name by default.
        on_bytes: hears of the bytes of ``samples.jsonl`` as they are read.

    Raises:
        UsageError: the folder is not there, or holds no run.
    """

    def __init__(self, path: Path, name: str | None = None, on_bytes: OnBytes | None = None) -> None:
        self.path, self.name, self._on_bytes = path, name or path.resolve().name, on_bytes
        self.notes: list[str] = []
        if not path.is_dir():
            raise UsageError(f"{path}: {_no_folder(path)}")
        if not _is_run(path):
            inside = ", ".join(str(p) for p in _runs_in(path)[:4])
            raise UsageError(
                f"{path}: holds no run (no metrics.jsonl); expected a folder that cal-grpo train wrote"
                + (f"; it has runs in it, name one: {inside}" if inside else "")
            )

    @cached_property
    def config(self) -> dict[str, Any]:
        """``config.yaml``; empty where it cannot be read."""
        try:
            config = yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError):
            config = None
        if not isinstance(config, dict):
            self.notes.append("config.yaml: missing or not readable; what the run was is not known")
            return {}
        return {str(key): value for key, value in config.items()}

    @property
    def data_digest(self) -> str | None:
        """Of the run's questions; None for a run that has kept none."""
        try:
            return (self.path / "data.sha256").read_text(encoding="utf-8").strip() or None
        except (OSError, ValueError):
            return None

    @cached_property
    def summary(self) -> dict[str, Any] | None:
        """``summary.json``; None for a run that goes on or was killed."""
        try:
            summary = json.loads((self.path / "summary.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            summary = None
        except (OSError, ValueError, RecursionError):
            self.notes.append("summary.json: not readable; the run counts as unfinished")
            summary = None
        return summary if isinstance(summary, dict) else None

    @cached_property
    def metrics(self) -> list[dict[str, float]]:
        """A row an update, in order: numbers that can be drawn, and no others. A repeated step counts as its last row."""
        rows: dict[int, dict[str, float]] = {}
        for _, record in read_jsonl_with_notes(self.path / "metrics.jsonl", self.notes):
            row = {key: number for key, value in record.items() if (number := finite(value)) is not None}
            if "step" in row:
                rows[int(row["step"])] = row
        return [rows[step] for step in sorted(rows)]

    @cached_property
    def rollouts(self) -> list[Rollout]:
        """The rollouts that were written, in order."""
        rollouts: list[Rollout] = []
        rows: Counter[Any] = Counter()
        bad: list[str] = []
        for number, record in read_jsonl_with_notes(self.path / "samples.jsonl", self.notes, self._on_bytes):
            rows[str(record.get("step"))] += 1
            try:
                rollouts.append(Rollout.model_validate(record | {"row": rows[str(record.get("step"))]}))
            except ValidationError as e:
                bad.append(f"line {number}: {_reason(e)}")
        if bad:
            self.notes.append(f"samples.jsonl: {counted_lines(len(bad))} left out, first {bad[0]}")
        return rollouts

    @cached_property
    def answers(self) -> dict[str, list[Answer]]:
        """Held-out answers, under ``before``, ``between`` (updates, where they were asked) and ``after``."""
        answers: dict[str, list[Answer]] = {}
        bad: list[str] = []
        for number, record in read_jsonl_with_notes(self.path / "eval.jsonl", self.notes):
            try:
                answer = Answer.model_validate(record)
            except ValidationError as e:
                bad.append(f"line {number}: {_reason(e)}")
            else:
                answers.setdefault(str(record.get("when")), []).append(answer)
        if bad:
            self.notes.append(f"eval.jsonl: {counted_lines(len(bad))} left out, first {bad[0]}")
        return answers

    @cached_property
    def held_out(self) -> dict[int, float]:
        """Held-out accuracy by the updates made until then, where it was taken between updates; else empty."""
        right: dict[int, list[bool]] = {}
        for when, of_all in (("before", 0), ("between", None), ("after", self.steps)):
            for answer in self.answers.get(when, ()) if "between" in self.answers else ():
                right.setdefault(answer.update if of_all is None else of_all, []).append(answer.correct)
        return {update: sum(given) / len(given) for update, given in sorted(right.items())}

    @cached_property
    def calls(self) -> list[dict[str, Any]]:
        """The lines of ``judge.jsonl``: the oracle's calls, and answers that needed none."""
        return [record for _, record in read_jsonl_with_notes(self.path / "judge.jsonl", self.notes)]

    @property
    def credit(self) -> str:
        """Name of the formula; ``tunix-grpo`` where the engine's own trainer ran."""
        return str(self.config.get("credit", "?")) if self.is_credited else f"{self.config.get('engine', 'tunix')}-grpo"

    @property
    def is_credited(self) -> bool:
        """Whether the run's credit was ours; else the engine's own trainer ran."""
        return bool(self.config.get("use_cal", True))

    @property
    def seed(self) -> int | None:
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def steps(self) -> int:
        """Updates that were made."""
        return int(self.metrics[-1]["step"]) if self.metrics else 0

    @property
    def state(self) -> str:
        """``finished``, or why not."""
        if self.summary is None:
            return "unfinished"
        if (stopped := self.summary.get("stopped")) or self.summary.get("interrupted"):
            return f"stopped ({stopped or 'interrupt'})"
        return "finished"

    @property
    def missed(self) -> dict[str, int]:
        """How many wrong answers got no span, by reason, over all updates."""
        counts: Counter[str] = Counter()
        for row in self.metrics:
            for key, value in row.items():
                if key.startswith("cal/missed/"):
                    counts[key.removeprefix("cal/missed/")] += round(value)
        return dict(counts.most_common())

    def total(self, key: str) -> float:
        """A metric's sum over the updates; 0 where there is none."""
        return sum(row.get(key, 0.0) for row in self.metrics)


def open_runs(paths: Sequence[Path], on_bytes: OnBytes | None = None) -> list[Run]:
    """Runs with names that tell them apart.

    Raises:
        UsageError: one is no run, or one is named twice.
    """
    resolved = [path.resolve() for path in paths]
    for path, count in Counter(resolved).items():
        if count > 1:
            raise UsageError(f"{path}: named {count} times; name each run once")
    depth = 1
    while len({p.parts[-depth:] for p in resolved}) < len(resolved):
        depth += 1
    return [Run(path, str(Path(*full.parts[-depth:])), on_bytes) for path, full in zip(paths, resolved, strict=True)]


def _no_folder(path: Path) -> str:
    if path.exists():
        return "is a file; expected the run folder that holds it"
    beside = [p.name for p in _runs_in(path.parent)]
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.4)
    hint = f"; did you mean {path.parent / near[0]}?" if near else ""
    return f"no such folder; expected a run folder that cal-grpo train wrote{hint}"


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in _MARKS)


def _runs_in(path: Path) -> list[Path]:
    try:
        return sorted(p for p in path.iterdir() if p.is_dir() and _is_run(p))
    except OSError:
        return []


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    return " ".join(f"{where} {message}".split())[:120]
