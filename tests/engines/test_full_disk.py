"""A disk that is really full, in a mount of its own: one line that says what to do, and the run goes on when there is room."""

import json
import shutil
import subprocess
import sys

import pytest

UPDATES = 3
SETTINGS = {
    "num_train_steps": UPDATES, "batch_size": 2, "micro_batch_size": 2, "num_generations": 4, "max_eval_samples": 2,
    "eval.batch_size": 2, "ledger.steps": 2, "rollout.max_new_tokens": 16, "rollout.max_prompt_tokens": 96,
    "checkpoint.every": 1,
}  # fmt: skip
# The mount lives as long as this shell. What lies on it afterwards is copied out.
SCRIPT = """
mount -t tmpfs -o size=$1k tmpfs disk || exit 77
shift
"$@" --output disk/run 2> full.err
echo $? > full.status
cp -r disk/run full
mount -o remount,size=1g disk
"$PYTHON" -m cal_grpo train --resume disk/run 2> resumed.err
echo $? > resumed.status
cp -r disk/run resumed
"""


@pytest.mark.parametrize("kilobytes", [48, 400], ids=["full while it writes samples", "full while it saves a checkpoint"])
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(shared_toy_folder, tmp_path, monkeypatch, kilobytes):
    if shutil.which("unshare") is None:
        pytest.skip("unshare, which mounts a disk of its own, is not installed")
    (tmp_path / "disk").mkdir()
    monkeypatch.setenv("PYTHON", sys.executable)
    pairs = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    train = [sys.executable, "-m", "cal_grpo", "train", "--model", str(shared_toy_folder), *pairs]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh", str(kilobytes), *train]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if not (tmp_path / "full.status").exists():
        pytest.skip(f"no disk of its own can be mounted here ({done.stderr.strip()})")
    errors = (tmp_path / "full.err").read_text()
    assert (tmp_path / "full.status").read_text() == "1\n", errors
    assert "Traceback" not in errors
    line = errors.splitlines()[-1]
    assert line.startswith("cal-grpo: disk/run: No space left on device, after ")
    assert line.endswith("make room there, then cal-grpo train --resume disk/run")
    for file in (tmp_path / "full").glob("*.jsonl"):
        assert all(json.loads(written) for written in file.read_text().splitlines())  # no line is half there
    assert (tmp_path / "resumed.status").read_text() == "0\n", (tmp_path / "resumed.err").read_text()
    metrics = [json.loads(row)["step"] for row in (tmp_path / "resumed" / "metrics.jsonl").read_text().splitlines()]
    assert metrics == list(range(1, UPDATES + 1))
    assert json.loads((tmp_path / "resumed" / "summary.json").read_text())["stopped"] is None
