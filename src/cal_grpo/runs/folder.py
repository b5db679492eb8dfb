"""What a run leaves behind.

config.yaml     the resolved config
data.sha256     the digest of its questions; a resumed run must have the same
metrics.jsonl   an object an optimizer update
judge.jsonl     every call of the oracle: verdict, tokens, price, latency
samples.jsonl   question, response, grade, verdict, spans and advantages of a share of the rollouts
tensorboard/    the metrics again, as events; wandb/: Weights & Biases' own files (see ``trackers``)
checkpoints/    parameters and optimizer state
policy/         the final policy as a Hugging Face folder
adapter/        its LoRA adapter alone, in PEFT's format, if lora.save_adapter is set
best/           the policy that answered best in the middle of the training, if eval.every is set
summary.json    the run in one object
.lock           held by the process that writes it
"""

import contextlib
import itertools
import json
import math
import os
import random
import re
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml

from cal_grpo.alignment import Miss, TokenSpan
from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.files import require_writable, write_whole
from cal_grpo.jsonlines import JSONLWriter
from cal_grpo.oracles import Query, copies_reference
from cal_grpo.pipeline import Credited, Judged
from cal_grpo.runs.claim import claim, new_folder
from cal_grpo.runs.resume import BETWEEN, DATA, Past, Row, cut_to, kept_part

_OURS = (
    "config.yaml", DATA, "metrics.jsonl", "judge.jsonl", "samples.jsonl", "eval.jsonl", "tensorboard", "wandb", "checkpoints",
    "policy", "adapter", "best", "best.partial", "best.old", "summary.json",
)  # fmt: skip


class RunFolder:
    """Writes a run. A line is the operating system's when it is written: a killed run keeps what it had.

    Args:
        config: the run; its ``output_dir`` may be None for a fresh folder, unless it is resumed.
        resume: go on with the run that the folder holds; ``cut_back`` says from where, and nothing is touched before it.
        digest: of the run's questions.

    Raises:
        UsageError: the folder holds a run, cannot be created, or is being written by another process. Nothing was touched.
    """

    def __init__(self, config: TrainConfig, resume: bool = False, digest: str = "") -> None:
        name = re.sub(r"[^\w.-]+", "-", f"{config.task}-{config.method}-seed{config.seed}")  # a user's own part has a colon
        self.path = config.output_dir or new_folder(Path("runs"), f"{datetime.now():%Y%m%d-%H%M%S}-{name}")
        self._config = config
        with contextlib.ExitStack() as stack:
            stack.enter_context(claim(self.path))  # first of all: what is looked at and removed below is nobody else's
            if not resume:
                self._clear(config)
                write_whole(self.path / DATA, digest + "\n")  # before the config: a folder with a config can be resumed
                self._write_config()
                self._open(stack)
            self._held = stack.pop_all()
        self._step = 0
        self._draw = random.Random()

    def _open(self, held: contextlib.ExitStack) -> None:
        try:
            self._metrics, self._samples = (
                held.enter_context(JSONLWriter(self.path / name)) for name in ("metrics.jsonl", "samples.jsonl")
            )
        except OSError as e:
            raise UsageError(f"{e.filename}: cannot be written to ({e.strerror or e}); choose another --output") from e

    def _clear(self, config: TrainConfig) -> None:
        """Remove what an earlier run left. Its config and digest are replaced: killed meanwhile, it is known as a run still."""
        check_output(config)
        for name in _held(self.path):
            if name in ("config.yaml", DATA):
                continue
            target = self.path / name
            try:
                shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
            except OSError as e:
                raise UsageError(f"{target}: cannot be removed ({e.strerror or e}); choose another --output") from e

    def _write_config(self) -> None:
        write_whole(self.path / "config.yaml", self._config.to_yaml())

    def read_past(self, updates: int) -> Past:
        """What the run had done after its first so many updates. Nothing is touched.

        Raises:
            UsageError: a file holds a line that the program did not write.
        """
        rows: list[Row] = []
        asked: list[Row] = []
        sizes = {
            "judge.jsonl": kept_part(self.path / "judge.jsonl", lambda line: True),  # paid for: all are kept
            "samples.jsonl": kept_part(self.path / "samples.jsonl", lambda row: bool(row["step"] <= updates)),
            "metrics.jsonl": kept_part(self.path / "metrics.jsonl", lambda row: bool(row["step"] <= updates), rows),
            "eval.jsonl": kept_part(
                self.path / "eval.jsonl", lambda row: row["when"] != "after" and 0 < updates >= _update(row), asked
            ),
        }
        before = [row for row in asked if row["when"] == "before"]
        between = [row for row in asked if row["when"] == BETWEEN]
        if len(between) % (len(before) or 1):  # the last evaluation was left half written, and is made again
            torn = _update(between[-1])
            sizes["eval.jsonl"] = kept_part(
                self.path / "eval.jsonl", lambda row: row["when"] != "after" and _update(row) < torn
            )
            between = [row for row in between if _update(row) < torn]
        return Past(updates, rows, before, between, sizes)

    def cut_back(self, past: Past) -> None:
        """Take out what the run wrote after the updates of ``past``, for these are made again.

        Killed in the middle of it, it can be done again: nothing about the updates before is ever missing.

        Raises:
            UsageError: a file cannot be written.
        """
        for name, size in past.sizes.items():
            cut_to(self.path / name, size)
        (self.path / "summary.json").unlink(missing_ok=True)
        self._write_config()
        self._open(self._held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def write_metrics(self, row: Row) -> Row:
        """One update's numbers, returned as written: what is not finite is null, for JSON has no NaN."""
        row = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        self._metrics.write(row)
        return row

    def write_samples(self, step: int, credited: Credited) -> None:
        if step != self._step:  # a stream an update: a resumed run draws what an uninterrupted one would have drawn
            self._step, self._draw = step, random.Random(f"samples/{self._config.seed}/{step}")
        for judged, advantages_T in zip(credited.judged, credited.advantages_BT, strict=True):
            if self._draw.random() < self._config.sample_share:
                self._samples.write({"step": step} | sample_record(judged, advantages_T))

    def write_evaluation(self, part: str, rows: list[dict[str, Any]], update: int = 0) -> None:
        """Held-out answers: ``before`` or ``after`` the training, or between its updates, after so many of them."""
        when = {"when": part, "update": update} if part == BETWEEN else {"when": part}
        with JSONLWriter(self.path / "eval.jsonl") as file:
            for row in rows:
                file.write(when | row)

    def write_summary(self, summary: dict[str, Any]) -> None:
        write_whole(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")


def check_output(config: TrainConfig) -> None:
    """Refuse an output folder that holds a run, unless the config says to overwrite it. Nothing is created or removed.

    Raises:
        UsageError: it does; it holds files of such names and is no run's; it cannot be created; or overwriting it would
            destroy the judge log that is to be replayed.
    """
    replay = config.oracle.replay
    if replay is not None and config.output_dir is not None and replay.resolve().parent == config.output_dir.resolve():
        raise UsageError(f"replay {replay} lies in the output folder and would be overwritten; choose another --output")
    if config.output_dir is not None and (held := _held(config.output_dir)):
        if not config.overwrite:
            raise UsageError(
                f"{config.output_dir} already holds a run ({held[0]}); choose another --output, or pass --overwrite to "
                "replace it"
            )
        if not _is_run(config.output_dir):
            raise UsageError(
                f"{config.output_dir} holds {held[0]} and no run: --overwrite replaces a folder with the config.yaml and "
                f"{DATA} of cal-grpo train, and nothing else; choose another --output"
            )
    require_writable(config.output_dir or Path("runs"))


def _update(row: Row) -> int:
    """After which update a held-out question was answered."""
    return int(row["update"]) if row["when"] == BETWEEN else 0


def _held(path: Path) -> list[str]:
    return [name for name in _OURS if os.path.lexists(path / name)]


def _is_run(path: Path) -> bool:
    """Whether this program wrote a folder: a ``config.yaml`` alone could be anybody's."""
    try:
        written = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
        return (path / DATA).is_file() and isinstance(written, dict) and {"task", "seed", "num_train_steps"} <= set(written)
    except (OSError, ValueError, TypeError, yaml.YAMLError):
        return False


def sample_record(judged: Judged, advantages_T: np.ndarray) -> dict[str, Any]:
    """One rollout as JSON. Advantages are run-length coded: ``[[value, tokens], ...]``, and each run has its characters."""
    completion, verdict, outcome = judged.completion, judged.verdict, judged.outcome
    advantages = run_lengths(advantages_T[: len(completion.token_ids)])
    record: dict[str, Any] = {
        "question": completion.question,
        "reference": completion.reference,
        "response": judged.text,
        "tokens": len(completion.token_ids),
        "truncated": completion.truncated,
        "correct": completion.grade.correct,
        "extracted": completion.grade.extracted,
        "expected": completion.grade.expected,
        "reward": completion.reward,
        "advantages": advantages,
        "advantage_characters": run_characters(advantages, judged.decoded.ends_T),
    }
    if verdict is not None:
        record["verdict"] = {
            "tag": str(verdict.tag),
            "critique": verdict.critique,
            "segment": verdict.segment,
            "confidence": verdict.confidence,
            "missed": judged.miss,
        }
        if verdict.correction:
            query = Query(completion.question, completion.reference, judged.text)
            record["verdict"]["correction"] = verdict.correction
            record["verdict"]["copies_reference"] = copies_reference(query, verdict.correction)
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
    return [[value, len(list(run))] for value, run in itertools.groupby(round(float(v), 6) for v in values)]


def run_characters(runs: Sequence[Sequence[float]], ends_T: np.ndarray) -> list[int]:
    """How many characters of the text each run of tokens adds; a character that two share is the first one's.

    Args:
        runs: ``[[value, tokens], ...]``, T tokens in all.
        ends_T: where each token's characters end, never decreasing.
    """
    ends = [int(ends_T[last - 1]) for last in itertools.accumulate(int(tokens) for _, tokens in runs)]
    return [end - start for start, end in itertools.pairwise([0, *ends])]
