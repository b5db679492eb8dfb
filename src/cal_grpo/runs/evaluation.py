"""An evaluation, from a config to a folder: greedy accuracy, pass@k and majority@k on held-out questions.

answers.jsonl      a question a line: the greedy answer, the samples, the vote
evaluation.json    the figures and what they were taken with
"""

import contextlib
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from cal_grpo.config import TrainConfig
from cal_grpo.engines import Answer, Answers, Parts, engine_of, idle_gpu, require_engine, versions
from cal_grpo.errors import UsageError
from cal_grpo.files import require_writable, write_whole
from cal_grpo.grading import majority, pass_at_k, powers_up_to
from cal_grpo.interrupts import check, ends_in_good_order, heard
from cal_grpo.intervals import mean_share
from cal_grpo.jsonlines import JSONLWriter
from cal_grpo.policies import read_json, resolve_model
from cal_grpo.runs.claim import claim, new_folder
from cal_grpo.runs.full_disk import FullDisk
from cal_grpo.runs.watch import Watcher
from cal_grpo.tasks import load_task

ANSWERS, FIGURES = "answers.jsonl", "evaluation.json"
_STOPPING = "stopping after this batch of questions; press Ctrl-C again to quit without it"


def evaluate(
    config: TrainConfig,
    samples: int | None = None,
    output: Path | None = None,
    *,
    overwrite: bool = False,
    every: bool = False,
    watcher: Watcher | None = None,
    began: float | None = None,
) -> dict[str, Any]:
    """Evaluate a policy and write a folder. Answers are written a batch of questions at a time; an interrupt keeps them.

    Args:
        config: names the policy, the task, ``max_eval_samples`` and how answers are sampled; what belongs to training is
            left aside.
        samples: sampled answers a question, for pass@k and majority@k; None samples none.
        output: the folder; a fresh one under ``evals/`` by default.
        overwrite: replace an evaluation that ``output`` holds.
        every: ask every question of the data file instead of its held-out eighth.
        watcher: hears about progress.
        began: ``time.monotonic()`` at the start of the command, from which ``wall_s`` is counted.

    Returns:
        The content of ``evaluation.json``, and under ``"output"`` where it lies.

    Raises:
        UsageError: anything a person can fix; nothing is written before the input is checked.
    """
    began = time.monotonic() if began is None else began
    watcher = watcher or Watcher()
    if samples is not None and samples < 1:
        raise UsageError(
            f"samples is {samples}; expected 1 or more sampled answers a question, or none for greedy accuracy only"
        )
    if output is not None:
        _check(output, overwrite)
    require_writable(output or Path("evals"))
    with contextlib.ExitStack() as stack:
        stack.enter_context(heard())
        full_disk = stack.enter_context(FullDisk())
        require_engine(config.engine)
        watcher.stage("reading the task")
        task = load_task(config, train=False, every=every)
        for note in task.notes:
            watcher.note(note)
        if not task.eval:
            source = config.data or config.task
            raise UsageError(
                f"{source} leaves no question to evaluate on; pass --questions 1 or more, or --all to ask the whole file"
            )
        config = config.fitted(task.prompt_tokens, task.answer_tokens)
        read_json(resolve_model(config.model_id) / "config.json")  # a folder that holds no model
        check()
        watcher.stage("loading the policy")
        # An engine takes seconds to import: the cheap mistakes above are reported before
        engine = stack.enter_context(contextlib.closing(engine_of(config.engine).open(config, Parts(task))))
        figures = _Figures(samples or 0)
        questions, skipped = len(engine.held_out), engine.skipped["held-out"]
        if skipped:
            watcher.note(f"{skipped} questions skipped: longer than {config.rollout.max_prompt_tokens} tokens")
        stop = stack.enter_context(ends_in_good_order(watcher.note, _STOPPING))
        name = f"{datetime.now():%Y%m%d-%H%M%S}-{config.task.replace(':', '.')}-seed{config.seed}"
        folder = output or new_folder(Path("evals"), name)
        stack.enter_context(claim(folder))
        file = stack.enter_context(_create(folder, overwrite))
        full_disk.watch(folder, lambda: figures.questions, "questions", "evaluate again with --overwrite")
        watcher.begin(engine.device, folder)
        if idle := idle_gpu(engine.device):
            watcher.note(idle)
        watcher.stage("answering", questions * (1 + figures.samples))
        for batch in engine.answers(figures.samples, watcher.advance):
            for answers in batch:
                file.write(figures.add(answers))
            watcher.standing(figures.so_far())
            if stop.is_set():
                break
        record = {
            "model": config.model_id,
            "task": config.task,
            "data": None if config.data is None else str(config.data),
            "seed": config.seed,
            "engine": config.engine,
            "device": engine.device,
            "versions": versions(config.engine),
            "samples": figures.samples,
            "temperature": config.rollout.temperature,
            "top_p": config.rollout.top_p,
            "max_new_tokens": config.rollout.max_new_tokens,
            "batch_size": config.eval.batch_size,
            "skipped": skipped,
            "interrupted": figures.questions < questions,
            **figures.record(),
            "wall_s": round(time.monotonic() - began, 2),
            "compile_s": round(engine.compile_s, 2),
        }
        write_whole(folder / FIGURES, json.dumps(record, indent=2) + "\n")
    return record | {"output": str(folder)}


class _Figures:
    """Adds up what the questions came to."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.greedy: list[float] = []
        self.cut: list[float] = []  # of all answers
        self.right: list[int] = []  # samples of each question
        self.voted: list[float] = []

    @property
    def questions(self) -> int:
        return len(self.greedy)

    def add(self, answers: Answers) -> dict[str, Any]:
        """Count a question; returns its line of ``answers.jsonl``."""
        self.greedy.append(float(answers.greedy.grade.correct))
        self.cut += [float(answer.truncated) for answer in (answers.greedy, *answers.samples)]
        row: dict[str, Any] = {
            "question": answers.example.question,
            "expected": answers.greedy.grade.expected,
            "greedy": _answer(answers.greedy),
        }
        if self.samples:
            vote = majority([sample.grade for sample in answers.samples])
            self.right.append(sum(sample.grade.correct for sample in answers.samples))
            self.voted.append(float(vote.correct))
            row["samples"] = [_answer(sample) for sample in answers.samples]
            row["right"] = self.right[-1]
            row["majority"] = {"answer": vote.answer, "votes": vote.votes, "correct": vote.correct}
        return row

    def so_far(self) -> str:
        """The figures of the questions up to now, in a line."""
        shares = {"greedy": self.greedy, f"pass@{self.samples}": [float(c > 0) for c in self.right]}
        shares[f"majority@{self.samples}"] = self.voted
        parts = [f"{name} {sum(values) / len(values):.1%}" for name, values in shares.items() if values]
        return f"{', '.join(parts)} of {self.questions} questions"

    def record(self) -> dict[str, Any]:
        """The estimates with their intervals."""
        ks = powers_up_to(self.samples) if self.right else []
        of_k = {k: [pass_at_k(self.samples, right, k) for right in self.right] for k in ks}
        return {
            "questions": self.questions,
            "greedy": mean_share(self.greedy)._asdict() if self.greedy else None,
            "cut_share": round(sum(self.cut) / len(self.cut), 4) if self.cut else None,
            "pass": {str(k): mean_share(values)._asdict() for k, values in of_k.items()},
            "majority": mean_share(self.voted)._asdict() if self.voted else None,
        }


def _answer(answer: Answer) -> dict[str, Any]:
    grade = answer.grade
    return {"response": answer.text, "extracted": grade.extracted, "correct": grade.correct, "truncated": answer.truncated}


def _check(folder: Path, overwrite: bool) -> None:
    held = [name for name in (ANSWERS, FIGURES) if (folder / name).exists()]
    if held and not overwrite:
        raise UsageError(
            f"{folder} already holds an evaluation ({held[0]}); choose another --output, or pass --overwrite to replace it"
        )


def _create(folder: Path, overwrite: bool) -> JSONLWriter:
    _check(folder, overwrite)  # once more: another process may have finished one meanwhile
    try:
        for name in (FIGURES, ANSWERS):  # first the figures, so that they are never those of other answers
            (folder / name).unlink(missing_ok=True)
        return JSONLWriter(folder / ANSWERS)
    except OSError as e:
        raise UsageError(f"{folder}: cannot be written to ({e.strerror}); choose another --output") from e
