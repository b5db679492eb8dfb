"""The measurement on a GPU, rehearsed on the CPU with the embedded policy and tiny sizes.

Left out here: a GPU, bf16, a model that was carried, wheels; the demo on Tunix is skipped, as it is wherever Tunix is not.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gpu.detect import detectable
from gpu.gsm8k import verdict
from gpu.parts import speed
from gpu.pieces import join, split

from cal_grpo.tasks import stories

ROOT = Path(__file__).parents[3]


def test_the_detectable_difference_is_that_of_the_formula():
    # psi = 0.2, n = 512: without the d^2 under the root, 2.8016 * sqrt(0.2 / 512) = 0.0554; with it, a little less.
    assert detectable(512, 0.2) == pytest.approx(0.0551, abs=2e-4)
    d = detectable(512, 0.3)
    assert (1.95996 * 0.3**0.5 + 0.84162 * (0.3 - d * d) ** 0.5) ** 2 / d**2 == pytest.approx(512, rel=1e-3)
    assert detectable(10, 0.1) == pytest.approx(0.1)  # nothing that ten questions could show


def test_pieces_are_small_and_whole_again(tmp_path):
    source = tmp_path / "model"
    (source / "inner").mkdir(parents=True)
    (source / "weights").write_bytes(bytes(range(256)) * 300)
    (source / "inner" / "empty").touch()
    count = split(source, tmp_path / "pieces", 20_000)
    sizes = [(tmp_path / "pieces" / f"piece-{i:03d}").stat().st_size for i in range(count)]
    assert set(sizes[:-1]) == {20_000}
    assert 0 < sizes[-1] <= 20_000
    join(tmp_path / "pieces", tmp_path / "there")
    assert (tmp_path / "there" / "weights").read_bytes() == (source / "weights").read_bytes()
    assert (tmp_path / "there" / "inner" / "empty").exists()
    join(tmp_path / "pieces", tmp_path / "there")  # it is there: nothing to do
    with pytest.raises(ValueError, match="holds pieces"):
        split(source, tmp_path / "pieces", 20_000)


def test_pieces_that_are_damaged_or_missing_are_named_and_nothing_is_unpacked(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 50_000)
    split(tmp_path / "file", tmp_path / "pieces", 20_000)
    (tmp_path / "pieces" / "piece-000").write_bytes(b"y" * 20_000)
    (tmp_path / "pieces" / "piece-001").unlink()
    with pytest.raises(ValueError, match=r"piece-000 is damaged\n.*piece-001 is missing"):
        join(tmp_path / "pieces", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_the_verdict_pairs_the_answers_by_question(tmp_path):
    right = {"base": "0000", "credit": "1110", "grpo": "1001"}  # of four questions
    for name, shares in right.items():
        (tmp_path / "evals" / name).mkdir(parents=True)
        rows = [{"question": str(i), "greedy": {"correct": one == "1"}} for i, one in enumerate(shares)]
        (tmp_path / "evals" / name / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
        (tmp_path / f"{name}.json").write_text(json.dumps({"updates": 7 if name == "credit" else 6}))
    found = verdict(tmp_path)
    assert not found["same_updates"]
    assert found["right"]["credit"]["value"] == 0.75
    # One question right in both, two in credit alone, one in grpo alone: 3/4 - 2/4, and 3 of 4 apart.
    assert (found["credit_minus_grpo"]["value"], found["credit_minus_grpo"]["discordant"]) == (0.25, 0.75)
    assert found["credit_minus_grpo"]["low"] < 0 < found["credit_minus_grpo"]["high"]
    assert found["grpo_minus_base"]["value"] == 0.5


def test_the_first_update_is_no_part_of_the_speed():
    rows = [{"step": i, "seconds": s, "tokens": n} for i, s, n in ((1, 60.0, 50), (2, 1.0, 40), (3, 3.0, 60), (4, 2.0, 50))]
    found = speed(rows, answers=8)
    assert (found["seconds_per_update"], found["tokens_per_s"], found["first_update_s"]) == (2.0, 25.0, 60.0)  # 150 / 6
    told = [{"step": 2, "seconds": 2.0, "tokens_mean": 5.0}]  # a run without credit has no sum
    assert speed(told, answers=8)["tokens_per_s"] == 20.0


def test_it_stops_by_itself_when_its_time_is_over(tmp_path):
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 300\n")
    slow.chmod(0o755)
    fails = tmp_path / "fails"
    fails.write_text("#!/bin/sh\nexit 3\n")
    fails.chmod(0o755)

    def run(python, budget):
        settings = {"DRY": "1", "RESULTS": str(tmp_path / "out"), "PYTHON": str(python), "BUDGET": budget}
        command = ["bash", str(ROOT / "benchmarks" / "gpu" / "run.sh"), "plan", "verdict"]
        ran = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=120, check=False)
        return ran.returncode, ran.stderr

    assert run(slow, "2") == (124, "run.sh: 2 s are over in plan; the same command goes on\n")
    assert run(sys.executable, "0") == (124, "run.sh: 0 s are over in plan; the same command goes on\n")
    assert run(fails, "300") == (3, "")


def test_every_part_runs_dry_and_a_second_time_does_nothing(tmp_path):
    pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")
    data, results = tmp_path / "train.jsonl", tmp_path / "results"
    told = [next(stories(seed=seed, steps=2, split="train")) for seed in range(48)]
    data.write_text("".join(json.dumps({"question": e.question, "answer": e.reference}) + "\n" for e in told))
    settings = {"DRY": "1", "RESULTS": str(results), "DATA": str(data), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}

    def run(*parts):
        command = ["bash", str(ROOT / "benchmarks" / "gpu" / "run.sh"), *parts]
        return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=900, check=False)

    first = run()
    assert first.returncode == 0, first.stdout + first.stderr
    names = ["plan", "demo_trl", "demo_tunix", "base", "credit", "grpo", "verdict"]
    found = {name: json.loads((results / f"{name}.json").read_text()) for name in names}
    assert found["plan"]["detectable_points"].keys() == {"0.05", "0.1", "0.2", "0.3", "0.4"}
    assert found["demo_trl"]["updates"] == 2
    assert found["demo_trl"]["seconds_per_update"] > 0
    assert found["demo_trl"]["tokens_per_s"] > 0
    assert found["credit"]["updates"] == found["grpo"]["updates"] == 2
    assert found["credit"]["settings"]["use_cal"] == "True"
    assert found["grpo"]["settings"]["use_cal"] == "False"
    assert found["base"]["questions"] == found["verdict"]["credit_minus_grpo"]["questions"] == 2
    assert found["verdict"]["same_updates"]
    times = {name: (results / f"{name}.json").stat().st_mtime_ns for name in names}
    again = run("plan", "verdict")
    assert again.returncode == 0
    assert {name: (results / f"{name}.json").stat().st_mtime_ns for name in names} == times
    wrong = run("demo")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
