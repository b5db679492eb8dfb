"""A training run, from a config to a run folder."""

import contextlib
import threading
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cal_grpo.config import OracleSection, TrainConfig
from cal_grpo.credit import formula
from cal_grpo.engines import UpdateTally
from cal_grpo.errors import RunFailed, UsageError
from cal_grpo.oracles import CALOracle, Usage
from cal_grpo.pipeline import Credited
from cal_grpo.runs.folder import RunFolder, check_output
from cal_grpo.runs.interrupt import stop_on_interrupt
from cal_grpo.runs.resume import Past
from cal_grpo.runs.watch import Watcher
from cal_grpo.tasks import load_task

_STOPPING = "stopping after this update; press Ctrl-C again to quit without saving"


def train(
    config: TrainConfig, watcher: Watcher | None = None, began: float | None = None, resume: bool = False
) -> dict[str, Any]:
    """Train a policy and write its run folder.

    Args:
        config: see ``TrainConfig``.
        watcher: hears about progress.
        began: ``time.monotonic()`` at the start of the command, from which ``wall_s`` is counted.
        resume: go on with the run in ``config.output_dir``, from its newest checkpoint; see ``resumed_config``.

    Returns:
        The content of ``summary.json``, and under ``"output"`` where the run lies.

    Raises:
        UsageError: anything a person can fix; nothing is written before the input is checked, and nothing is cut off
            that a resumed run does not make again.
        RunFailed: an update was not finite. The summary says so; there is no ``policy/``.
    """
    began = time.monotonic() if began is None else began
    watcher = watcher or Watcher()
    watcher.stage("reading the task")
    if not resume:
        check_output(config)
    oracle = _build_oracle(config, watcher)
    task = load_task(config)
    config = config.fitted(task.prompt_tokens, task.answer_tokens)
    # jax takes seconds to import: the cheap mistakes above are reported before
    watcher.stage("loading the policy")
    from cal_grpo.engines.tunix import Session

    with contextlib.ExitStack() as stack:
        if oracle is not None:
            stack.enter_context(oracle)
        session = Session.open(config, task, oracle)
        folder = stack.enter_context(RunFolder(config, resume))
        past = _past(folder, session, watcher) if resume else Past()
        stop = stack.enter_context(stop_on_interrupt(watcher.note, _STOPPING))
        spent = threading.Event()
        if oracle is not None:
            if resume:
                oracle.resume(folder.path / "judge.jsonl", settled=int(past.total("cal/asked")))
            oracle.log_to(folder.path / "judge.jsonl")
            if config.oracle.on_budget == "stop":
                oracle.on_spent = lambda limit: spent.set()
        record = _Record(config, folder, watcher, began, past)
        with warnings.catch_warnings(record=True) as caught:
            session.start(folder.path, record.on_credit, folder.write_metrics)
        stack.callback(session.close)
        for warning in caught:
            if warning.category is UserWarning:
                watcher.note(str(warning.message))
        for part, skipped in session.skipped.items():
            if skipped:
                watcher.note(f"{skipped} {part} questions skipped: longer than {config.rollout.max_prompt_tokens} tokens")
        if not past.updates:
            record.evaluate("before", session, stop)
        watcher.stage("training", config.num_train_steps)
        try:
            record.steps = session.learn(lambda: stop.is_set() or spent.is_set())
        except RunFailed as e:
            record.steps = e.updates
            folder.write_summary(record.summary(session, oracle, e.stopped))
            raise
        watcher.stage("saving the policy")
        session.save_policy(folder.path / "policy")
        if spent.is_set():
            watcher.note(f"stopped by the budget after {record.steps} of {config.num_train_steps} updates")
        if stop.is_set():
            watcher.note(f"stopped after {record.steps} of {config.num_train_steps} updates; checkpoint and policy are saved")
        else:
            record.evaluate("after", session, stop)
        stopped = "interrupt" if stop.is_set() else "budget" if spent.is_set() else None
        summary = record.summary(session, oracle, stopped)
        folder.write_summary(summary)
    return summary | {"output": str(folder.path)}


def _past(folder: RunFolder, session: Any, watcher: Watcher) -> Past:
    """Cut a run back to its newest checkpoint, from which it goes on."""
    watcher.stage("reading the run so far")
    updates = session.find_checkpoint(folder.path, watcher.note)
    past = folder.cut_back(updates)
    watcher.note(f"going on after update {updates}" if updates else "there is no checkpoint yet: beginning again")
    if len(past.rows) < updates:
        watcher.note(f"metrics.jsonl has {len(past.rows)} of these updates; the summary counts no more")
    if past.before and [row["question"] for row in past.before] != [example.question for _, example in session.held_out]:
        raise UsageError(f"{folder.path}: the held-out questions are not those of this run; expected the same data as before")
    return past


def _build_oracle(config: TrainConfig, watcher: Watcher) -> CALOracle | None:
    if not config.use_cal or not formula(config.credit).needs_oracle:
        return None
    return CALOracle(
        config.cal_provider,
        model=config.cal_model,
        base_url=config.cal_base_url,
        tell=watcher.note,
        **{name: getattr(config.oracle, name) for name in OracleSection.model_fields if name != "on_budget"},
    )


class _Record:
    """Counts what the summary reports, of the whole run."""

    def __init__(self, config: TrainConfig, folder: RunFolder, watcher: Watcher, began: float, past: Past) -> None:
        self.config, self.folder, self.watcher = config, folder, watcher
        self.began = began - past.total("seconds")
        self.steps = past.updates
        self.accuracy: dict[str, float] = {}
        self.questions = 0
        if past.before:
            self._count("before", past.before)
        self.counts = Counter({name: int(past.total(f"cal/{name}")) for name in ("asked", "found", "cached")})
        self.missed = past.missed

    def on_credit(self, tally: UpdateTally, credited: Credited) -> None:
        """Called by the engine for each credited micro-batch."""
        self.counts.update({name: int(credited.metrics[name]) for name in ("asked", "found", "cached")})
        self.missed.update(credited.missed)
        self.folder.write_samples(tally.step, credited)
        self.watcher.update(tally)

    def evaluate(self, when: str, session: Any, stop: threading.Event) -> None:
        """Held-out accuracy; none when it was stopped midway, for the first questions are no fair sample."""
        if not session.held_out:
            return
        self.watcher.stage(f"evaluating {when} training", len(session.held_out))
        rows = []
        for example, text, grade in session.evaluate(self.watcher.advance):
            row = {"question": example.question, "response": text, "correct": grade.correct}
            rows.append(row | {"extracted": grade.extracted, "expected": grade.expected})
            if stop.is_set():
                return
        self.folder.write_evaluation(when, rows)
        self._count(when, rows)

    def _count(self, when: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.accuracy[when] = sum(bool(row["correct"]) for row in rows) / len(rows)
        self.questions = len(rows)

    def summary(self, session: Any, oracle: CALOracle | None, stopped: str | None) -> dict[str, Any]:
        spent = oracle.spent if oracle is not None else Usage()
        return {
            "seed": self.config.seed,
            "engine": "tunix",
            "credit": self.config.credit if self.config.use_cal else "grpo",
            "steps": self.steps,
            "interrupted": stopped == "interrupt",
            "stopped": stopped,
            "eval": {"before": self.accuracy.get("before"), "after": self.accuracy.get("after"), "n": self.questions},
            "wall_s": round(time.monotonic() - self.began, 2),
            "compile_s": round(session.compile_s, 2),
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
