"""Many trainings, some at a time, each on a processor of its own."""

import functools
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

from cal_grpo.interrupts import check
from study.plan import Plan
from study.trial import Trial, run, start_of
from study.world import World

Rows = list[dict[str, Any]]


def train_many(one: Callable[[Any], Rows], trials: Sequence[Any], jobs: int, minutes: float) -> Iterator[tuple[Any, Rows]]:
    """Trials and the rows that ``one`` gives of each, as they finish. After ``minutes`` no other is begun.

    ``one`` can be pickled. A small policy keeps one core busy and gains little from a second, so each of ``jobs`` processes
    computes on one thread.
    """
    if jobs == 1:
        began = time.monotonic()
        for trial in trials:
            if time.monotonic() - began > minutes * 60:
                return
            yield trial, one(trial)
        return
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    try:
        yield from _in_processes(one, trials, jobs, minutes)
    finally:
        os.environ["XLA_FLAGS"] = flags


def _in_processes(one: Callable[[Any], Rows], trials: Sequence[Any], jobs: int, minutes: float) -> Iterator[tuple[Any, Rows]]:
    began = time.monotonic()
    waiting = iter(trials)
    running: dict[Future[Rows], Any] = {}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        while True:
            while len(running) < jobs and time.monotonic() - began < minutes * 60 and (trial := next(waiting, None)):
                running[pool.submit(one, trial)] = trial
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


def tell(line: str) -> None:
    """For the person who watches; from whatever process."""
    print(line, file=sys.stderr, flush=True)


def train_one(plan: Plan, trial: Trial) -> Rows:
    """One trial's rows."""
    rows: Rows = []
    for row in run(_world(*start_of(trial), plan.group_size, plan.held_out), trial):
        check()
        rows.append(row)
        tell(f"  {trial}: {row['held_out'].mean():.3f} after {row['update']} of {trial.updates} updates")
    return rows


@functools.lru_cache(maxsize=1)
def _world(policy: str, steps: int, group_size: int, held_out: int) -> World:
    return World(policy, steps, group_size, held_out)
