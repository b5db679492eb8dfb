"""Both engines side by side: here one of them, and one whose interpreter is not there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "engines.py"


def test_an_engine_is_measured_in_a_process_of_its_own_and_one_that_fails_says_why():
    small = ["batch_size=2", "micro_batch_size=1", "rollout.max_new_tokens=8"]
    sets = [part for setting in small for part in ("--set", setting)]
    pythons = ["--trl-python", sys.executable, "--tunix-python", "/no/such/python"]
    command = [sys.executable, SCRIPT, *pythons, "--updates", "2", *sets]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=400, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["engines"]["tunix"] == {"failed": "/no/such/python: No such file or directory"}
    found = told["engines"]["trl"]
    assert (found["updates"], found["timed_updates"], found["answers_per_update"]) == (2, 1, 2)
    assert 0 < found["seconds_per_update"] < found["wall_s"]
    assert found["peak_rss_mb"] > 100  # PyTorch alone is more
    assert "trl_by_tunix" not in told
