"""A training run, from a config to a run folder."""

import contextlib
import shlex
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cal_grpo.config import TrainConfig
from cal_grpo.credit import Compute, Formula
from cal_grpo.engines import Engine, RewardFn, engine_of, idle_gpu, require_engine
from cal_grpo.errors import RunFailed, UsageError
from cal_grpo.files import require_writable
from cal_grpo.interrupts import check, ends_in_good_order, heard
from cal_grpo.oracles import CALOracle, Oracle
from cal_grpo.policies import resolve_model
from cal_grpo.runs.beforehand import without_solutions
from cal_grpo.runs.callbacks import Callback
from cal_grpo.runs.folder import RunFolder, check_output
from cal_grpo.runs.full_disk import FullDisk
from cal_grpo.runs.parts import Given, check_parts, parts_of, recorded
from cal_grpo.runs.record import Record
from cal_grpo.runs.resume import BETWEEN, Past, check_data, read_summary
from cal_grpo.runs.trackers import trackers_of
from cal_grpo.runs.watch import Notes, Watcher
from cal_grpo.tasks import TaskData

_WHO = {"budget": "the budget", "callback": "a callback", "min_found": "oracle.min_found"}
_STOPPING = "stopping after this update; press Ctrl-C again to quit without saving"


@dataclass(frozen=True)
class Trained:
    """What became of a training.

    Attributes:
        summary: the content of ``summary.json``.
        run: the run's folder.
    """

    summary: Mapping[str, Any]
    run: Path


def train(
    config: TrainConfig,
    *,
    oracle: CALOracle | Oracle | None = None,
    credit: Compute | Formula | None = None,
    task: TaskData | None = None,
    reward_fns: Sequence[RewardFn] | RewardFn | None = None,
    callbacks: Sequence[Callback] = (),
    watcher: Watcher | None = None,
    began: float | None = None,
    resume: bool = False,
) -> Trained:
    """Train a policy and write its run folder.

    Args:
        config: see ``TrainConfig``. It names the oracle, the credit formula, the task and the reward, built-in ones and your
            own as ``module:name``; the next four hand them over instead.
        oracle: a ``CALOracle``, which the caller closes, or an object with ``async locate(query) -> Verdict``, which is asked
            within the config's limits.
        credit: a function of a ``Batch`` and ``Weights``, see ``cal_grpo.credit.formula``.
        task: a ``cal_grpo.tasks.TaskData``.
        reward_fns: functions ``(prompts, completions, **columns) -> rewards``, whose sum is the reward; grading still decides
            which answers are wrong.
        callbacks: hear of each update and of the credit in it, and can stop the run; the config's trackers come before.
        watcher: hears about progress; without one, what a person should not miss is logged.
        began: ``time.monotonic()`` at the start of the command, from which ``wall_s`` is counted.
        resume: go on with the run in ``config.output_dir``, from its newest checkpoint; see ``resumed_config``. A run with
            objects goes on when they are handed over again.

    Raises:
        UsageError: anything a person can fix; nothing is written before the input is checked, and nothing is cut off
            that a resumed run does not make again.
        RunFailed: an update was not finite; the summary says so, and there is no ``policy/``. Or the disk is full; the run
            goes on from its last checkpoint. Or too few wrong answers have a span (``oracle.min_found``) where ``on_miss`` or
            ``on_failure`` is ``raise``; checkpoint, policy and summary are written.
    """
    began = time.monotonic() if began is None else began
    watcher = watcher or Watcher()
    notes = Notes(watcher)
    given = Given(oracle, credit, task, reward_fns)
    with contextlib.ExitStack() as stack:
        stack.enter_context(heard())
        full_disk = stack.enter_context(FullDisk())
        require_engine(config.engine)
        callbacks = [*trackers_of(config.tracker), *callbacks]
        watcher.stage("reading the task")
        if resume:
            check_parts(config, given)
            require_writable(config.output_dir or Path())
        else:
            check_output(config)
            config = recorded(config, given)
        parts = parts_of(config, given, notes)
        task, oracle = parts.task, parts.oracle
        if oracle is not None and oracle is not given.oracle:
            stack.enter_context(oracle)
        if resume:
            check_data(config.output_dir or Path(), task.digest)
        for note in (*task.notes, *(without_solutions(config, task) if oracle is not None and given.oracle is None else ())):
            notes(note)
        config = config.fitted(task.prompt_tokens, task.answer_tokens)
        check()
        watcher.stage("loading the policy")
        resolve_model(config.model_id)
        # An engine takes seconds to import: the cheap mistakes above are reported before
        engine = stack.enter_context(contextlib.closing(engine_of(config.engine).open(config, parts)))
        stop = stack.enter_context(ends_in_good_order(watcher.note, _STOPPING))  # from here on there is something to save
        folder = stack.enter_context(RunFolder(config, resume, task.digest))
        past = Past()
        if resume:
            watcher.stage("reading the run so far")
            found = engine.find_checkpoint(folder.path)
            past = _past(folder, found.update, engine, watcher)
            if oracle is not None:
                oracle.resume(folder.path / "judge.jsonl", settled=int(past.total("cal/asked")))
            notes.keep([str(note) for note in read_summary(folder.path).get("notes") or ()])
            found.set_aside(notes)  # all was read and compared: a run that is refused is as it was
            folder.cut_back(past)
        record = Record(config, folder, watcher, notes, callbacks, began, past)
        full_disk.watch(
            folder.path, lambda: record.steps, "updates", f"cal-grpo train --resume {shlex.quote(str(folder.path))}"
        )
        stack.callback(record.end)
        stack.callback(engine.close)  # before anything else is: it waits for a checkpoint, and tells nothing more
        watcher.begin(engine.device, folder.path)
        if idle := idle_gpu(engine.device):
            notes(idle)
        record.begin()
        stops = _Stops(stop, callbacks, lambda: "raise" in (config.on_miss, config.on_failure) and record.spans.low)
        if oracle is not None:
            oracle.log_to(folder.path / "judge.jsonl")
            if config.oracle.on_budget == "stop":
                oracle.on_spent = lambda limit: stops.spent.set()
        with warnings.catch_warnings(record=True) as caught:
            engine.start(folder.path, record.on_credit, record.on_metrics)
        for warning in caught:
            if warning.category is UserWarning:
                notes(str(warning.message))
        for part, skipped in engine.skipped.items():
            if skipped:
                notes(f"{skipped} {part} questions skipped: longer than {config.rollout.max_prompt_tokens} tokens")
        if not past.updates:
            record.evaluate("before", engine, stop)
        watcher.stage("training", config.num_train_steps)
        if past.updates:
            watcher.advance(past.updates)
        try:
            record.steps = engine.learn(lambda: _ready(record, engine, stops, stop))
        except RunFailed as e:
            record.steps = e.updates
            record.write_summary(engine, oracle, e.stopped)
            raise
        watcher.stage("saving the policy")
        engine.save_policy(folder.path / "policy")
        progress = f"{record.steps} of {config.num_train_steps} updates"
        if (reason := stops.reason) in _WHO:
            watcher.note(f"stopped by {_WHO[reason]} after {progress}")
        if stop.is_set():
            watcher.note(f"stopped after {progress}; checkpoint and policy are saved")
        else:
            record.evaluate("after", engine, stop)
        summary = record.write_summary(engine, oracle, reason)
        if reason == "min_found":
            raise RunFailed(
                f"{record.spans.said}; stopped after {progress}, for on_miss or on_failure is 'raise': bench the judge, then "
                f"cal-grpo train --resume {shlex.quote(str(folder.path))}, with --set oracle.min_found=0 if so few are right",
                "min_found",
                record.steps,
            )
    return Trained(summary, folder.path)


def _ready(record: Record, engine: Engine, stops: "_Stops", stop: threading.Event) -> bool:
    """Asked before each update: whether the training shall stop. Held-out questions are asked where that is due."""
    if stops():
        return True
    every, made = record.config.eval.every, record.steps
    if every and made and made % every == 0 and made not in record.evaluated:
        record.evaluate(BETWEEN, engine, stop)
        record.watcher.stage("training", record.config.num_train_steps)
        record.watcher.advance(made)
    return stops.reason is not None


class _Stops:
    """Whether a training shall stop, and why: Ctrl-C, a spent budget, too few spans or a callback."""

    def __init__(self, interrupted: threading.Event, callbacks: Sequence[Callback], few: Callable[[], bool]) -> None:
        self.spent, self._few = threading.Event(), few
        self._interrupted, self._callbacks, self._halted = interrupted, callbacks, False

    def __call__(self) -> bool:
        self._halted = self._halted or any(callback.should_stop() for callback in self._callbacks)
        return self.reason is not None

    @property
    def reason(self) -> str | None:
        """The ``stopped`` of ``summary.json``."""
        if self._interrupted.is_set():
            return "interrupt"
        if self.spent.is_set():
            return "budget"
        return "min_found" if self._few() else "callback" if self._halted else None


def _past(folder: RunFolder, updates: int, engine: Engine, watcher: Watcher) -> Past:
    """What a run had done after so many updates, from which it goes on."""
    past = folder.read_past(updates)
    watcher.note(f"going on after update {updates}" if updates else "there is no checkpoint yet: beginning again")
    if len(past.rows) < updates:
        watcher.note(f"metrics.jsonl has {len(past.rows)} of these updates; the summary counts no more")
    if past.before and [row["question"] for row in past.before] != [example.question for example in engine.held_out]:
        raise UsageError(f"{folder.path}: the held-out questions are not those of this run; expected the same data as before")
    return past
