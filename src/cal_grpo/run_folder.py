"""What a run leaves behind.

config.yaml     the resolved config
metrics.jsonl   an object an optimizer update
judge.jsonl     every call of the oracle: verdict, tokens, price, latency
samples.jsonl   question, response, grade, verdict, spans and advantages of a share of the rollouts
tensorboard/    the metrics again, as events
checkpoints/    parameters and optimizer state
policy/         the final policy as a Hugging Face folder
summary.json    the run in one object
"""

import json
import math
import random
import shutil
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import numpy as np

from cal_grpo.alignment import Miss, TokenSpan
from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.pipeline import Credited, Judged, miss_reason

_OURS = (
    "config.yaml", "metrics.jsonl", "judge.jsonl", "samples.jsonl", "eval.jsonl", "tensorboard", "checkpoints", "policy",
    "summary.json",
)  # fmt: skip


class RunFolder:
    """Writes a run. Every line is flushed when written: a killed run keeps what it had."""

    def __init__(self, config: TrainConfig) -> None:
        self.path = config.output_dir or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{config.task}-{config.credit}"
        check_output(config)
        for name in _held(self.path):
            target = self.path / name
            shutil.rmtree(target) if target.is_dir() else target.unlink()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UsageError(f"{self.path}: cannot be created ({e.strerror}); choose another --output") from e
        (self.path / "config.yaml").write_text(config.to_yaml())
        self._share = config.sample_share
        self._draw = random.Random(f"samples/{config.seed}")
        self._metrics = (self.path / "metrics.jsonl").open("w")
        self._samples = (self.path / "samples.jsonl").open("w")
        self._events: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics.close()
        self._samples.close()
        if self._events is not None:
            self._events.close()

    def write_metrics(self, row: dict[str, Any]) -> None:
        """One update's numbers. What is not finite is written as null: JSON has no NaN."""
        row = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        _write_line(self._metrics, row)
        if self._events is None:
            from tensorboardX import SummaryWriter

            self._events = SummaryWriter(str(self.path / "tensorboard"))
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                self._events.add_scalar(name, value, row["step"])

    def write_samples(self, step: int, credited: Credited) -> None:
        for judged, advantages_T in zip(credited.judged, credited.advantages_BT, strict=True):
            if self._draw.random() < self._share:
                _write_line(self._samples, {"step": step} | sample_record(judged, advantages_T))

    def write_evaluation(self, part: str, rows: list[dict[str, Any]]) -> None:
        with (self.path / "eval.jsonl").open("a") as f:
            for row in rows:
                _write_line(f, {"when": part} | row)

    def write_summary(self, summary: dict[str, Any]) -> None:
        (self.path / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def check_output(config: TrainConfig) -> None:
    """Refuse an output folder that holds a run, unless the config says to overwrite it.

    Raises:
        UsageError: it does, or overwriting it would destroy the judge log that is to be replayed.
    """
    replay = config.oracle.replay
    if replay is not None and config.output_dir is not None and replay.resolve().parent == config.output_dir.resolve():
        raise UsageError(f"replay {replay} lies in the output folder and would be overwritten; choose another --output")
    if config.output_dir is not None and not config.overwrite and (held := _held(config.output_dir)):
        raise UsageError(
            f"{config.output_dir} already holds a run ({held[0]}); choose another --output, or pass --overwrite to replace it"
        )


def _held(path: Path) -> list[str]:
    return [name for name in _OURS if (path / name).exists()]


def sample_record(judged: Judged, advantages_T: np.ndarray) -> dict[str, Any]:
    """One rollout as JSON. Advantages are run-length coded: ``[[value, tokens], ...]``."""
    completion, verdict, outcome = judged.completion, judged.verdict, judged.outcome
    record: dict[str, Any] = {
        "question": completion.question,
        "response": judged.text,
        "tokens": len(completion.token_ids),
        "correct": completion.grade.correct,
        "extracted": completion.grade.extracted,
        "expected": completion.grade.expected,
        "reward": completion.reward,
        "advantages": run_lengths(advantages_T[: len(completion.token_ids)]),
    }
    if verdict is not None:
        record["verdict"] = {
            "tag": str(verdict.tag),
            "critique": verdict.critique,
            "segment": verdict.segment,
            "confidence": verdict.confidence,
            "missed": miss_reason(judged),
        }
    if isinstance(outcome, TokenSpan):
        record["span"] = {
            "tokens": [outcome.start, outcome.end],
            "characters": [outcome.char_start, outcome.char_end],
            "method": outcome.method,
            "score": round(outcome.score, 4),
        }
    elif isinstance(outcome, Miss):
        record["miss"] = outcome.reason
    return record


def run_lengths(values: np.ndarray) -> list[list[float]]:
    """``[0, 0, -1]`` as ``[[0.0, 2], [-1.0, 1]]``, values rounded to six digits."""
    return [[value, len(list(run))] for value, run in groupby(round(float(v), 6) for v in values)]


def _write_line(file: Any, record: dict[str, Any]) -> None:
    file.write(json.dumps(record, ensure_ascii=False) + "\n")
    file.flush()
