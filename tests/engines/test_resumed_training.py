"""A training that was stopped, by whatever means, and resumed ends as one that was not: bit for bit, line for line.

Verdicts come from a judge over HTTP without a cache, so that what it was asked can be counted.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from types import SimpleNamespace

import pytest
from _judge_server import JudgeServer, answer, verdict

from cal_grpo.config import load_config
from cal_grpo.errors import UsageError
from cal_grpo.runs.resume import resumed_config
from cal_grpo.runs.training import train
from cal_grpo.runs.watch import Watcher

UPDATES, CONCURRENCY = 6, 4
SETTINGS = {
    "cal_provider": "openai", "cal_model": "m", "num_train_steps": UPDATES, "batch_size": 2, "micro_batch_size": 1,
    "num_generations": 4, "max_eval_samples": 4, "learning_rate": 1e-2, "beta": 0.1, "ledger.steps": 2, "sample_share": 0.5,
    "rollout.max_new_tokens": 16, "rollout.max_prompt_tokens": 96, "credit": "study.controls:random_span",
    "checkpoint.every": 2, "oracle.cache": False, "oracle.concurrency": CONCURRENCY,
    "corrections": "rest",
}  # fmt: skip


class Notes(Watcher):
    """Keeps what a person is told, and presses Ctrl-C in an update, if it shall."""

    def __init__(self, interrupt_at=0):
        self.notes, self.interrupt_at = [], interrupt_at

    def note(self, text):
        self.notes.append(text)

    def update(self, tally):
        if tally.step == self.interrupt_at:
            self.interrupt_at = 0
            os.kill(os.getpid(), signal.SIGINT)


def judge(request):
    """Blames the last characters of a response, and says its reference's last line instead."""
    reference = request.prompt.rpartition("Reference solution:\n")[2].partition("\n\nResponse, from")[0]
    said = json.loads(verdict(request.response.strip()[-5:])) | {"correction": reference.splitlines()[-1]}
    return answer(request, json.dumps(said), latency_s=0.02)


@pytest.fixture(scope="module")
def world(shared_toy_folder, tmp_path_factory):
    """A judge's server, the settings of a training that asks it, and a training that nothing stopped."""
    root = tmp_path_factory.mktemp("resumed")
    with JudgeServer(judge) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-0123456789-secret")
        settings = SETTINGS | {"model_id": str(shared_toy_folder), "cal_base_url": server.openai}
        world = SimpleNamespace(root=root, server=server, settings=settings)
        world.summary = begin(world, "whole")
        world.asked = questions(server)
        yield world


def begin(world, name, watcher=None, **changes):
    config = load_config(overrides=world.settings | {"output_dir": str(world.root / name)} | changes)
    return train(config, watcher=watcher).summary


def resume(world, name, watcher=None, **changes):
    return train(resumed_config(world.root / name, changes), watcher=watcher, resume=True).summary


def questions(server):
    """How often the judge was asked each question since the last time."""
    asked = Counter(request.prompt for request in server.requests)
    server.requests.clear()
    return asked


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def without_times(row):
    return {name: value for name, value in row.items() if "seconds" not in name and "latency" not in name}


def check_same(world, name, summary, *, killed=False):
    """A run is the whole one, but for times; one that was ``killed`` may have paid a first try of an answer twice."""
    run, whole = world.root / name, world.root / "whole"
    for file in ("policy/model.safetensors", "samples.jsonl", "eval.jsonl"):
        assert (run / file).read_bytes() == (whole / file).read_bytes(), file
    metrics = [without_times(row) for row in rows(run / "metrics.jsonl")]
    assert metrics == [without_times(row) for row in rows(whole / "metrics.jsonl")]
    assert [row["step"] for row in metrics] == list(range(1, UPDATES + 1))
    told, was_told = (
        Counter((row["request"], row["tag"], row["segment"], row["final"], row["cached"]) for row in rows(r / "judge.jsonl"))
        for r in (run, whole)
    )
    again = told - was_told
    assert told - again == was_told
    assert not again or (killed and not any(final for _, _, _, final, _ in again))
    summed, was = ({k: v for k, v in s.items() if k not in ("wall_s", "compile_s", "notes")} for s in (summary, world.summary))
    twice = again.total()  # each is a call, and is told as one
    tokens = was["oracle"]["tokens"] // was["oracle"]["calls"]  # the server counts every call alike
    was["oracle"] = was["oracle"] | {
        "calls": was["oracle"]["calls"] + twice,
        "tokens": was["oracle"]["tokens"] + twice * tokens,
    }
    assert summed == was
    assert summary["wall_s"] > sum(row["seconds"] for row in rows(run / "metrics.jsonl"))


def test_the_whole_training_moves_and_asks(world):
    metrics = rows(world.root / "whole" / "metrics.jsonl")
    assert sum(row["cal/corrections"] for row in metrics) > 0
    losses = [row["kl"] for row in metrics]
    assert losses[0] == pytest.approx(0, abs=1e-5)
    assert losses[-1] > 1e-3  # away from a reference that stays where it was
    assert sum(world.asked.values()) == world.summary["oracle"]["calls"] > 3 * UPDATES


@pytest.fixture(scope="module")
def interrupted(world):
    """Stopped by Ctrl-C in its third of four updates."""
    watcher = Notes(interrupt_at=3)
    summary = begin(world, "interrupted", watcher, num_train_steps=4)
    assert (summary["interrupted"], summary["steps"]) == (True, 3)
    questions(world.server)
    return world.root / "interrupted"


def test_after_ctrl_c_no_update_is_made_again(world, interrupted):
    shutil.copytree(interrupted, world.root / "continued")
    watcher = Notes()
    summary = resume(world, "continued", watcher, num_train_steps=UPDATES)
    assert "going on after update 3" in watcher.notes
    check_same(world, "continued", summary)
    asked = questions(world.server)
    assert sum(asked.values()) < sum(world.asked.values())
    assert not asked - world.asked


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(world, interrupted):
    shutil.copytree(interrupted, world.root / "damaged")
    damage(world.root / "damaged" / "checkpoints" / "actor" / "3")
    (world.root / "damaged" / "checkpoints" / "damaged-3").mkdir()  # from another time
    watcher = Notes()
    summary = resume(world, "damaged", watcher, num_train_steps=UPDATES)
    assert any("the checkpoint of update 3 cannot be read" in n and "kept as damaged-3-2" in n for n in watcher.notes)
    assert "going on after update 2" in watcher.notes
    assert (world.root / "damaged" / "checkpoints" / "damaged-3-2" / "model_params").is_dir()
    check_same(world, "damaged", summary)
    before = Counter(row["request"] for row in rows(interrupted / "judge.jsonl") if not row["cached"])
    assert sum(questions(world.server).values()) == sum(world.asked.values()) - sum(before.values())  # none is paid twice


def test_without_any_good_checkpoint_nothing_is_touched(world, interrupted):
    run = world.root / "hopeless"
    shutil.copytree(interrupted, run)
    for checkpoint in (run / "checkpoints" / "actor").iterdir():
        damage(checkpoint)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match="no checkpoint can be read"):
        resume(world, "hopeless")
    after = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    assert before == after


def test_other_held_out_questions_are_refused_before_anything_is_cut(world, interrupted):
    run = world.root / "other"
    shutil.copytree(interrupted, run)
    evaluated = rows(run / "eval.jsonl")
    evaluated[1]["question"] = "What else?"
    (run / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in evaluated))
    damage(run / "checkpoints" / "actor" / "3")  # would be set aside
    (run / "samples.jsonl").unlink()  # would be made anew
    with (run / "metrics.jsonl").open("a") as file:  # of an update after the checkpoint, which would be cut off
        file.write('{"step": 4}\n')
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match="expected the same data as before"):
        resume(world, "other")
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def damage(checkpoint):
    """What a full disk or a bad copy leaves of a checkpoint: its files, some of them cut short."""
    for file in checkpoint.rglob("d/*"):
        os.truncate(file, file.stat().st_size // 2)


def test_kill_9_at_any_moment_twice(world):
    run = world.root / "killed"
    draw = random.Random("kill -9")
    pairs = [part for key, value in world.settings.items() for part in ("--set", f"{key}={value}")]
    first = draw.randint(1, 3)
    kill_after(run, first, draw.random(), "--output", str(run), *pairs)
    kill_after(run, draw.randint(first + 1, UPDATES - 1), draw.random(), "--resume", str(run))
    summary = resume(world, "killed")
    check_same(world, "killed", summary, killed=True)
    asked = questions(world.server)
    assert set(asked) == set(world.asked)
    # Answers that were on their way when the process died could not be kept; all others were paid once.
    assert sum((asked - world.asked).values()) <= 2 * CONCURRENCY


def kill_after(run, updates, part_of_an_update, *arguments):
    """Start a training in a process and kill it a moment after so many updates."""
    command = [sys.executable, "-m", "cal_grpo", "train", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while count(run / "metrics.jsonl") < updates:
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(part_of_an_update * 0.2)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def count(file):
    return file.read_bytes().count(b"\n") if file.exists() else 0
