"""Several processes, on the CPU with gloo: one oracle, one writer, whole groups."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")

HERE = Path(__file__).parent


def launched(processes, *command, **options):
    """A job's launcher, started."""
    addresses = ["--nnodes", "1", "--rdzv-backend", "static", "--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), *addresses]
    return subprocess.Popen(
        [*launcher, *map(str, command)], env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


def free_port():
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def finished(job, seconds=400):
    text, _ = job.communicate(timeout=seconds)
    return text


def test_handed_the_same_completions_one_two_and_three_processes_credit_and_lose_alike(folder, tmp_path):
    """Groups of 6 in 12 rows: with three processes of 4 rows, both are spread over two of them."""
    told = {n: handed(tmp_path / str(n), folder, n, rows, 6) for n, rows in ((1, 12), (2, 6), (3, 4))}
    alone = told[1][0]
    assert len(alone["rows"]) == 24
    assert len({a for _, advantages in alone["rows"] for a in advantages}) > 4
    for processes in (2, 3):
        same(told[processes], alone)
    assert min(alone["corrected"]) > 0.01
    assert len(alone["asked"]) == len(set(alone["asked"])) > 8


def test_one_answer_a_question_is_compared_with_those_of_all_processes(folder, tmp_path):
    """4 questions an update, all in one process or 2 in each, in forward passes of a row."""
    alone, two = (handed(tmp_path / str(n), folder, n, rows, 1, "baseline=batch", f"gradient_accumulation_steps={passes}")
                  for n, rows, passes in ((1, 4, 1), (2, 1, 2)))  # fmt: skip
    assert len(alone[0]["rows"]) == 8
    assert len({a for _, advantages in alone[0]["rows"] for a in advantages}) > 2
    same(two, alone[0])


def handed(out, folder, processes, *arguments):
    """What each process tells of ``_job.py``."""
    out.mkdir()
    job = launched(processes, HERE / "_job.py", out, folder, *arguments)
    text = finished(job)
    assert job.returncode == 0, text
    told = [json.loads((out / f"{i}.json").read_text()) for i in range(processes)]
    assert not any(one["asked"] for one in told[1:])  # by the main one only
    return told


def same(told, alone):
    rows = sorted(row for one in told for row in one["rows"])
    for (ids, advantages), (expected_ids, expected) in zip(rows, sorted(alone["rows"]), strict=True):
        assert ids == expected_ids
        assert advantages == pytest.approx(expected, abs=1e-4)
    assert told[0]["losses"] == pytest.approx(alone["losses"], abs=1e-4)
    assert told[0]["corrected"] == pytest.approx(alone["corrected"], abs=1e-4)
    assert sorted(told[0]["asked"]) == sorted(alone["asked"])


def training(folder, run, *settings):
    small = ["batch_size=2", "num_generations=4", "rollout.max_new_tokens=24", "ledger.steps=2", "checkpoint.every=2"]
    sets = [part for setting in (*small, "max_eval_samples=4", *settings) for part in ("--set", setting)]
    return ["-m", "cal_grpo", "train", "--engine", "trl", "--model", folder, "--output", run, *sets]


def rows_of(run):
    file = run / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def wait_for(run, rows, job, seconds=400):
    until = time.monotonic() + seconds
    while len(rows_of(run)) < rows:
        assert job.poll() is None, finished(job)
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_job_leaves_one_runs_folder_and_its_mistakes_are_told_once(folder, tmp_path):
    run = tmp_path / "run"
    job = launched(2, *training(folder, run, "num_train_steps=2"))
    text = finished(job)
    assert job.returncode == 0, text
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["device"], summary["steps"], summary["stopped"]) == ("2 x cpu", 2, None)
    assert [row["step"] for row in rows_of(run)] == [1, 2]
    assert len((run / "samples.jsonl").read_text().splitlines()) == 2 * 2 * 4
    assert text.count("saving the policy") == 1
    again = finished(launched(2, *training(folder, run, "num_train_steps=2")))
    assert again.count("already holds a run") == 1
    odd = launched(3, *training(folder, tmp_path / "odd", "num_train_steps=2"))
    assert finished(odd).count("3 processes do not divide the 8 answers of a forward pass") == 1
    assert not (tmp_path / "odd").exists()


def test_sigterm_leaves_a_checkpoint_from_which_a_job_of_another_size_goes_on(folder, tmp_path):
    run = tmp_path / "run"
    job = launched(2, *training(folder, run, "num_train_steps=1000"))
    wait_for(run, 3, job)
    job.send_signal(signal.SIGTERM)
    text = finished(job)
    made = json.loads((run / "summary.json").read_text())["steps"]
    assert 3 <= made < 1000, text
    assert (run / "checkpoints" / f"checkpoint-{made}").is_dir()
    command = ["-m", "cal_grpo", "train", "--resume", run, "--set", f"num_train_steps={1000 + made}"]
    again = subprocess.Popen([sys.executable, *map(str, command)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(run, made + 1, again)
    again.send_signal(signal.SIGINT)
    assert f"going on after update {made}" in finished(again)
    assert again.returncode == 130
    assert [row["step"] for row in rows_of(run)][: made + 1] == list(range(1, made + 2))


DEADLY = """
import os, pathlib, signal

calls = 0

def reward(completions, **columns):
    global calls
    calls += 1
    if os.environ.get("DIES") == os.environ.get("RANK") and calls == 6:  # answers to update 6 are there
        pathlib.Path(__file__).with_name("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return [float(len(text)) for text in completions]
"""


@pytest.mark.parametrize(("rank", "then"), [(0, 1), (1, 2)])
def test_a_rank_that_dies_ends_the_job_and_its_last_periodic_checkpoint_is_gone_on_from_to_the_end(
    folder, tmp_path, monkeypatch, rank, then
):
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    run = tmp_path / "run"
    monkeypatch.setenv("DIES", str(rank))
    job = launched(2, *training(folder, run, "num_train_steps=6", "reward=deadly:reward"))
    wait_for(run, 5, job)
    workers = [pid for pid in children(job.pid) if "RANK" in environment(pid)]
    until = time.monotonic() + 60
    while not (tmp_path / "died").exists():
        assert time.monotonic() < until
        time.sleep(0.1)
    text = finished(job, seconds=60)
    assert job.returncode != 0
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert not (run / "summary.json").exists(), text
    before = (run / "metrics.jsonl").read_bytes().splitlines()
    assert [path.name for path in (run / "checkpoints").iterdir() if path.name.endswith("6")] == []

    monkeypatch.delenv("DIES")
    again = launched(then, "-m", "cal_grpo", "train", "--resume", run)
    text = finished(again)
    assert again.returncode == 0, text
    assert "going on after update 4" in text
    assert json.loads((run / "summary.json").read_text())["steps"] == 6
    assert (run / "metrics.jsonl").read_bytes().splitlines()[:4] == before[:4]
    assert [row["step"] for row in rows_of(run)] == [1, 2, 3, 4, 5, 6]
    assert (run / "policy" / "model.safetensors").exists()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def environment(pid):
    """What a process was begun with; empty for one that has ended since it was listed."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
