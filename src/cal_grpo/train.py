"""A training run, from a config to a run folder."""

import contextlib
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

from cal_grpo.config import OracleSection, TrainConfig
from cal_grpo.credit import OUTCOME_ONLY
from cal_grpo.oracles import CALOracle, Usage
from cal_grpo.pipeline import Credited
from cal_grpo.run_folder import RunFolder, check_output
from cal_grpo.tasks import load_task
from cal_grpo.watch import UpdateTally, Watcher


def train(config: TrainConfig, watcher: Watcher | None = None, began: float | None = None) -> dict[str, Any]:
    """Train a policy and write its run folder.

    Args:
        config: see ``TrainConfig``.
        watcher: hears about progress.
        began: ``time.monotonic()`` at the start of the command, from which ``wall_s`` is counted.

    Returns:
        The content of ``summary.json``, and under ``"output"`` where the run lies.

    Raises:
        UsageError: anything a person can fix; nothing is written before the input is checked.
    """
    began = time.monotonic() if began is None else began
    watcher = watcher or Watcher()
    watcher.stage("reading the task")
    check_output(config)
    oracle = _build_oracle(config, watcher)
    task = load_task(config)
    config = config.fitted(task.prompt_tokens, task.answer_tokens)
    # jax takes seconds to import: the cheap mistakes above are reported before
    watcher.stage("loading the policy")
    from cal_grpo.engines.tunix.session import Session

    with contextlib.ExitStack() as stack:
        if oracle is not None:
            stack.enter_context(oracle)
        session = Session.open(config, task, oracle)
        folder = stack.enter_context(RunFolder(config))
        stop = stack.enter_context(_stop_on_interrupt(watcher))
        spent = threading.Event()
        if oracle is not None:
            oracle.log_to(folder.path / "judge.jsonl")
            if config.oracle.on_budget == "stop":
                oracle.on_spent = lambda limit: spent.set()
        record = _Record(config, folder, watcher, began)
        with warnings.catch_warnings(record=True) as caught:
            session.start(folder.path, record.on_credit, folder.write_metrics)
        stack.callback(session.close)
        for warning in caught:
            if warning.category is UserWarning:
                watcher.note(str(warning.message))
        for part, skipped in session.skipped.items():
            if skipped:
                watcher.note(f"{skipped} {part} questions skipped: longer than {config.rollout.max_prompt_tokens} tokens")
        record.evaluate("before", session, stop)
        watcher.stage("training", config.num_train_steps)
        record.steps = session.learn(lambda: stop.is_set() or spent.is_set())
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


def _build_oracle(config: TrainConfig, watcher: Watcher) -> CALOracle | None:
    if not config.use_cal or config.credit in OUTCOME_ONLY:
        return None
    return CALOracle(
        config.cal_provider,
        model=config.cal_model,
        base_url=config.cal_base_url,
        tell=watcher.note,
        **{name: getattr(config.oracle, name) for name in OracleSection.model_fields if name != "on_budget"},
    )


@contextlib.contextmanager
def _stop_on_interrupt(watcher: Watcher) -> Iterator[threading.Event]:
    """The first Ctrl-C asks the run to finish its update and save; a second one ends it at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(signum: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        watcher.note("stopping after this update; press Ctrl-C again to quit without saving")

    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)


class _Record:
    """Counts what the summary reports."""

    def __init__(self, config: TrainConfig, folder: RunFolder, watcher: Watcher, began: float) -> None:
        self.config, self.folder, self.watcher, self.began = config, folder, watcher, began
        self.steps = 0
        self.accuracy: dict[str, float] = {}
        self.questions = 0
        self.counts: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()

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
