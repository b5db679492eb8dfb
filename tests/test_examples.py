"""The examples do what they say, as they stand: on the embedded policy, offline."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cal_grpo.config import load_config, presets

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "examples" / "configs").glob("*.yaml"))


def run(folder, *words):
    """A Python of its own in an empty folder, with neither keys nor warnings; returns what it printed. It compiles as a user's:
    the embedded policy's trainings take longer than that."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
    environment = kept | {"XLA_FLAGS": ""}
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cells(kind):
    book = json.loads((ROOT / "examples" / "first_update.ipynb").read_text())
    return [cell for cell in book["cells"] if cell["cell_type"] == kind]


def test_the_tunix_script_trains_with_its_own_oracle_and_reward(tmp_path):
    script = ROOT / "examples" / "minimal_tunix.py"
    printed = run(tmp_path, script)
    assert [line.partition(":")[0] for line in printed.splitlines()] == ["update 1", "update 2", "update 3"]
    assert len(script.read_text().splitlines()) < 80
    assert list(tmp_path.iterdir()) == []  # it writes nothing


def test_the_notebook_goes_from_a_question_to_an_update(tmp_path):
    code = [cell for cell in cells("code") if "".join(cell["source"]).strip()]
    (tmp_path / "cells.py").write_text("\n\n".join("".join(cell["source"]) for cell in code))
    printed = run(tmp_path, "cells.py")
    assert "found | '66-3=64'" in printed
    assert "TokenSpan(start=9, end=16" in printed
    assert "-1.0 '66-3=64'" in printed
    assert "update 2: " in printed
    assert "summary.json" in printed


def test_the_notebook_is_kept_without_its_outputs():
    assert {(cell["execution_count"], len(cell["outputs"])) for cell in cells("code")} == {(None, 0)}


def test_the_front_pages_own_code_runs_as_it_stands(tmp_path):
    section = (ROOT / "README.md").read_text().split("## In your own code")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (tmp_path / "own.py").write_text(code)
    printed = run(tmp_path, "own.py").splitlines()
    assert printed[0].startswith("7*2=15 TokenSpan(start=6, end=12")
    assert "'n': 16" in printed[1]


def test_the_core_runs_in_a_trainer_of_ones_own(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "trainers.md").read_text(), re.DOTALL)
    (tmp_path / "core.py").write_text(code)
    numbers = [float(number) for number in re.findall(r"-?\d[\d.]*", run(tmp_path, "core.py"))]
    assert numbers == pytest.approx([0.5**0.5] * 9 + [-1] * 5 + [0] * 4, abs=1e-5)  # two answers of 9 tokens; 3+4=8 has 5


def test_the_first_run_s_parts_do_what_its_page_says(tmp_path):
    page = (ROOT / "docs" / "first-run.md").read_text()
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(code)
    run(tmp_path, "make_data.py")
    shell = "".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL)).replace("\\\n", "")
    ask, dry, train = (shlex.split(line)[1:] for line in shell.splitlines()[:3])
    for command in (ask, dry):
        assert "    " + run(tmp_path, "-m", "cal_grpo", *command).splitlines()[0] in page.splitlines()
    assert "preset: none" in run(tmp_path, "-m", "cal_grpo", *train, "--dry-run")


def test_there_is_a_config_of_each_preset():
    assert {file.stem for file in CONFIGS} == set(presets())


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_preset_s_config_is_one_that_training_takes(tmp_path, file):
    printed = run(tmp_path, "-m", "cal_grpo", "train", "--dry-run", "--config", file)
    (tmp_path / "resolved.yaml").write_text(printed)
    resolved, written = load_config(tmp_path / "resolved.yaml"), load_config(file)
    assert resolved.preset == file.stem
    assert resolved.model_dump(exclude={"rollout"}) == written.model_dump(exclude={"rollout"})  # the lengths are the task's
    assert list(tmp_path.iterdir()) == [tmp_path / "resolved.yaml"]
