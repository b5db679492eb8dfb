"""Two processes and one folder: the second is refused, and whatever it was asked to do, the first one's files stay."""

import contextlib
import os
import subprocess
import sys

import pytest

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.runs.claim import new_folder
from cal_grpo.runs.folder import RunFolder, check_output

HOLD = """
import sys
from cal_grpo.config import TrainConfig
from cal_grpo.runs.folder import RunFolder

with RunFolder(TrainConfig(output_dir=sys.argv[1] or None)) as folder:
    folder.write_metrics({"step": 1})
    print(folder.path, flush=True)
    sys.stdin.read()
"""


def config(folder, **changes):
    return TrainConfig.model_validate({"output_dir": folder} | changes)


@contextlib.contextmanager
def writing(folder):
    """A process that writes a run; yields it and its folder."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        yield other, other.stdout.readline().strip()
        if other.poll() is None:
            other.communicate()


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != ".lock"}


@pytest.mark.parametrize(("changes", "resume"), [({}, True), ({"overwrite": True}, False)])
def test_a_run_that_is_being_written_is_left_alone(tmp_path, changes, resume):
    run = tmp_path / "run"
    with writing(run) as (other, _):
        before = contents(run)
        assert before["metrics.jsonl"] == b'{"step": 1}\n'
        with pytest.raises(UsageError, match="being written by another process") as error:
            RunFolder(config(run, **changes), resume=resume)
        assert "\n" not in str(error.value)
        assert contents(run) == before
        other.kill()
        other.wait()
        with RunFolder(config(run, **changes), resume=resume):  # a killed process holds nothing
            pass


def test_two_runs_that_begin_together_have_a_folder_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(writing(""))[1] for _ in range(3)]
    assert len(set(folders)) == 3
    assert all("-ledger-prefix-seed0" in folder for folder in folders)
    names = [new_folder(tmp_path / "same", "second").name for _ in range(3)]
    assert names == ["second", "second-2", "second-3"]


def test_of_two_that_want_one_new_folder_one_gets_it(tmp_path):
    with writing(tmp_path / "run"), pytest.raises(UsageError, match=r"being written|already holds a run"):
        RunFolder(config(tmp_path / "run"))


def test_what_is_no_run_is_not_overwritten(tmp_path):
    """A project's folder may well hold a config.yaml, checkpoints and a policy of its own."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine").write_text("weeks of work")
    for text in (None, "learning_rate: 0.1\n", "task: x\nseed: 1\nnum_train_steps: 2\n", "[", "- a list"):
        if text is not None:
            (tmp_path / "config.yaml").write_text(text)
        before = contents(tmp_path)
        for refuse in (check_output, RunFolder):
            with pytest.raises(UsageError, match=r"--overwrite replaces a folder with the config\.yaml and data\.sha256"):
                refuse(config(tmp_path, overwrite=True))
        assert contents(tmp_path) == before


def test_a_run_is_replaced_and_what_links_lead_to_stays(tmp_path):
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    (elsewhere / "other").write_text("not ours")
    run = tmp_path / "run"
    with RunFolder(config(run, seed=1)) as folder:
        folder.write_metrics({"step": 1})
        folder.write_summary({"seed": 1})
        (run / "policy").mkdir()
        (run / "policy" / "weights").write_text("old")
        os.symlink(elsewhere, run / "checkpoints")
        os.symlink(tmp_path / "gone", run / "adapter")
    with RunFolder(config(run, seed=2, overwrite=True)):
        assert sorted(path.name for path in run.iterdir()) == [
            ".lock", "config.yaml", "data.sha256", "metrics.jsonl", "samples.jsonl",
        ]  # fmt: skip
        assert (run / "metrics.jsonl").read_bytes() == b""
        assert "seed: 2" in (run / "config.yaml").read_text()
    assert (elsewhere / "other").read_text() == "not ours"
