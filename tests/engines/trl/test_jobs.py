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


def finished(job, seconds=120):
    text, _ = job.communicate(timeout=seconds)
    return text


def test_handed_the_same_completions_one_two_and_three_processes_credit_and_lose_alike(folder, tmp_path):
    """Groups of 6 in 12 rows: with three processes of 4 rows, both are spread over two of them."""
    told = {}
    for processes, rows in ((1, 12), (2, 6), (3, 4)):
        out = tmp_path / str(processes)
        out.mkdir()
        job = launched(processes, HERE / "_job.py", out, folder, rows, 6)
        text = finished(job)
        assert job.returncode == 0, text
        told[processes] = [json.loads((out / f"{i}.json").read_text()) for i in range(processes)]
        assert not any(one["asked"] for one in told[processes][1:])  # by the main one only
    alone = told[1][0]
    assert len(alone["rows"]) == 24
    assert len({a for _, advantages in alone["rows"] for a in advantages}) > 4
    for processes in (2, 3):
        rows = sorted(row for one in told[processes] for row in one["rows"])
        for (ids, advantages), (expected_ids, expected) in zip(rows, sorted(alone["rows"]), strict=True):
            assert ids == expected_ids
            assert advantages == pytest.approx(expected, abs=1e-4)
        assert told[processes][0]["losses"] == pytest.approx(alone["losses"], abs=1e-4)
        assert told[processes][0]["corrected"] == pytest.approx(alone["corrected"], abs=1e-4)
        assert sorted(told[processes][0]["asked"]) == sorted(alone["asked"])
    assert min(alone["corrected"]) > 0.01
    assert len(alone["asked"]) == len(set(alone["asked"])) > 8


def training(folder, run, *settings):
    small = ["batch_size=2", "num_generations=4", "rollout.max_new_tokens=24", "ledger.steps=2", "checkpoint.every=2"]
    sets = [part for setting in (*small, "max_eval_samples=4", *settings) for part in ("--set", setting)]
    return ["-m", "cal_grpo", "train", "--engine", "trl", "--model", folder, "--output", run, *sets]


def rows_of(run):
    file = run / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def wait_for(run, rows, job, seconds=90):
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


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_dies_ends_the_job_and_its_last_checkpoint_is_gone_on_from(folder, tmp_path, rank):
    run = tmp_path / "run"
    job = launched(2, *training(folder, run, "num_train_steps=1000"))
    wait_for(run, 5, job)
    workers = [pid for pid in children(job.pid) if environment(pid).get("RANK") == str(rank)]
    began = time.monotonic()
    os.kill(workers[0], signal.SIGKILL)
    finished(job, seconds=60)
    assert time.monotonic() - began < 60
    assert job.returncode != 0
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    from cal_grpo.engines import engine_of

    assert engine_of("trl").find_checkpoint(run).update >= 4


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def environment(pid):
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
