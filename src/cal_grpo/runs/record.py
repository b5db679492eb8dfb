"""What a training comes to: told to whoever listens, written, and counted for its summary."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

from cal_grpo.config import TrainConfig
from cal_grpo.engines import Engine, UpdateTally, versions
from cal_grpo.oracles import CALOracle, Usage
from cal_grpo.pipeline import Credited
from cal_grpo.runs.best import Best, keep_best, kept_best
from cal_grpo.runs.callbacks import Callback
from cal_grpo.runs.folder import RunFolder
from cal_grpo.runs.found_share import FoundShare
from cal_grpo.runs.resume import BETWEEN, Past
from cal_grpo.runs.watch import Notes, Watcher


class Record:
    """Counts what the summary reports, of the whole run."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        watcher: Watcher,
        notes: Notes,
        callbacks: Sequence[Callback],
        began: float,
        past: Past,
    ) -> None:
        self.config, self.folder, self.watcher, self.callbacks, self.past = config, folder, watcher, callbacks, past
        self.notes = notes
        otherwise = f"on_miss={config.on_miss}, after a failed call on_failure={config.on_failure}"
        self.spans = FoundShare(config.oracle.min_found, otherwise, notes)
        self.began = began - past.total("seconds")
        self.steps = past.updates
        self.accuracy: dict[str, float] = {}
        self.questions = 0
        self.best = kept_best(folder.path)
        self.evaluated: set[int] = set()
        if past.before:
            self._count("before", past.before)
        for update in sorted({int(row["update"]) for row in past.between}):
            self.evaluated.add(update)
            self._count(words(update), [row for row in past.between if row["update"] == update])
        self.counts = Counter({name: int(past.total(f"cal/{name}")) for name in ("asked", "found", "cached")})
        self.missed = past.missed
        self._cut_shares = [float(row["cal/cut_share"]) for row in past.rows if row.get("cal/cut_share") is not None]
        self._summary: dict[str, Any] | None = None

    def begin(self) -> None:
        """Tell that it begins."""
        for callback in self.callbacks:
            callback.on_start(self.folder.path, self.config, self.past.rows)

    def end(self) -> None:
        """Tell that it is over, whatever the end was like."""
        for callback in self.callbacks:
            callback.on_end(self._summary)

    def on_credit(self, tally: UpdateTally, credited: Credited) -> None:
        """Called by the engine for each credited micro-batch."""
        self.counts.update({name: int(credited.metrics[name]) for name in ("asked", "found", "cached")})
        self.missed.update(credited.missed)
        self.folder.write_samples(tally.step, credited)
        self.watcher.update(tally)
        for callback in self.callbacks:
            callback.on_credit(tally, credited)

    def on_metrics(self, row: Mapping[str, Any]) -> None:
        """Called by the engine for each update."""
        written = self.folder.write_metrics(row)
        self.steps = int(row["step"])
        if (share := written.get("cal/cut_share")) is not None:
            self._cut_shares.append(share)
        self.spans.add(written)
        self.watcher.made(written)
        for callback in self.callbacks:
            callback.on_update(written)

    def evaluate(self, when: str, engine: Engine, stop: Event) -> None:
        """Held-out accuracy ``before`` or ``after`` training, or ``between`` its updates.

        None when it was stopped midway, for the first questions are no fair sample. With ``eval.every`` the best policy is
        kept.
        """
        if not engine.held_out:
            return
        told = words(self.steps) if when == BETWEEN else f"{when} training"
        self.watcher.stage(f"evaluating {told}", len(engine.held_out))
        rows = []
        for batch in engine.answers(0, self.watcher.advance):
            for answered in batch:
                text, grade, truncated = answered.greedy
                row = {"question": answered.example.question, "response": text, "correct": grade.correct}
                rows.append(row | {"extracted": grade.extracted, "expected": grade.expected, "truncated": truncated})
            if stop.is_set():
                return
        right = self._count(told if when == BETWEEN else when, rows)
        if self.config.eval.every and when != "before":
            found = Best(self.steps, right, len(rows))
            if self.best is None or found.accuracy > self.best.accuracy:
                keep_best(self.folder.path, found, engine.save_policy)
                self.best = found
            self.evaluated.add(self.steps)
        self.folder.write_evaluation(when, rows, self.steps)  # last: without its rows, an evaluation is made again

    def _count(self, when: str, rows: Sequence[Mapping[str, Any]]) -> int:
        right = sum(bool(row["correct"]) for row in rows)
        self.accuracy[when] = right / len(rows)
        self.questions = len(rows)
        self.watcher.evaluated(when, right, len(rows))
        return right

    def write_summary(self, engine: Engine, oracle: CALOracle | None, stopped: str | None) -> dict[str, Any]:
        """Write ``summary.json``; returns what it holds."""
        spent, every = oracle.spent if oracle is not None else Usage(), self.config.eval.every
        self.spans.end()
        self._summary = {
            "seed": self.config.seed,
            "engine": self.config.engine,
            "device": engine.device,
            "versions": versions(self.config.engine),
            "credit": self.config.method,
            "steps": self.steps,
            "interrupted": stopped == "interrupt",
            "stopped": stopped,
            "notes": self.notes.kept,
            "eval": {"before": self.accuracy.get("before"), "after": self.accuracy.get("after"), "n": self.questions}
            | ({"best": self.best and {"update": self.best.update, "accuracy": self.best.accuracy}} if every else {}),
            "cut_share": round(sum(self._cut_shares) / len(self._cut_shares), 4) if self._cut_shares else None,
            "wall_s": round(time.monotonic() - self.began, 2),
            "compile_s": round(engine.compile_s, 2),
            "oracle": {
                "name": oracle.name if oracle is not None else None,
                "asked": self.counts["asked"],
                "found": self.counts["found"],
                "missed": dict(self.missed),
                "cached": self.counts["cached"],
                "calls": spent.calls,
                "retried": oracle.retried if oracle is not None else 0,
                "tokens": spent.tokens,
                "usd": None if spent.usd is None else round(spent.usd, 6),
            },
        }
        self.folder.write_summary(self._summary)
        return self._summary


def words(update: int) -> str:
    """When an evaluation between updates was."""
    return f"after update {update}"
