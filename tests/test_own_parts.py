"""A user's own oracle, credit, task and reward: by name from a file, and as objects in Python."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cal_grpo import TrainConfig, load_config, train
from cal_grpo.config import load_config as load
from cal_grpo.engines import Parts
from cal_grpo.errors import UsageError
from cal_grpo.runs import resumed_config
from cal_grpo.runs.parts import Given, check_parts, parts_of, recorded

ROOT = Path(__file__).parents[1]
NAMES = {
    "task": "own_parts:load",
    "cal_provider": "own_parts:FirstDifference",
    "credit": "own_parts:halved",
    "reward": "own_parts:reward",
}
SMALL = {"num_train_steps": 1, "batch_size": 1, "num_generations": 4, "max_eval_samples": 2}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the example in it, and a Python that has not imported it yet."""
    shutil.copy(ROOT / "examples" / "own_parts.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "own_parts", raising=False)
    yield tmp_path
    sys.modules.pop("own_parts", None)


def test_the_example_is_short():
    assert len((ROOT / "examples" / "own_parts.py").read_text().splitlines()) < 60


def test_the_command_trains_with_all_four_and_goes_on_only_with_the_same_source(here):
    def cal_grpo(*words):
        command = [sys.executable, "-P", "-m", "cal_grpo", "train", "--json", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=here)

    settings = [f"--set={key}={value}" for key, value in SMALL.items()]
    named = ["--task", NAMES["task"], "--oracle", NAMES["cal_provider"], "--set", f"reward={NAMES['reward']}"]
    done = cal_grpo(*named, "--set", f"credit={NAMES['credit']}", *settings, "--output", "run")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["credit"], summary["oracle"]["name"]) == ("own_parts:halved", "first-difference")
    assert summary["oracle"]["asked"] > 0
    config = yaml.safe_load((here / "run" / "config.yaml").read_text())
    assert {key: config[key] for key in NAMES} == NAMES | {"reward": [NAMES["reward"]]}
    assert set(config["parts"]) == {"task", "oracle", "credit", "reward"}
    before = {file: file.read_bytes() for file in (here / "run").glob("*.jsonl")}
    with (here / "own_parts.py").open("a") as file:
        file.write("\n# changed\n")
    refused = cal_grpo("--resume", "run", "--set", "num_train_steps=2")
    assert refused.returncode == 2
    assert "source was changed" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert before == {file: file.read_bytes() for file in (here / "run").glob("*.jsonl")}


def test_objects_take_the_place_of_names_and_a_run_with_them_goes_on_from_python_only(here):
    own_parts = importlib.import_module("own_parts")  # the fixture's copy
    given = {"oracle": own_parts.FirstDifference(), "credit": own_parts.halved, "reward_fns": [own_parts.reward]}
    config = TrainConfig.model_validate(SMALL | {"output_dir": here / "run"})
    heard = []

    class Hears:
        on_start = on_credit = on_end = lambda self, *_: None
        should_stop = lambda self: False  # noqa: E731

        def on_update(self, metrics):
            heard.append(metrics["step"])

    result = train(config, **given, task=own_parts.load(config), callbacks=[Hears()])
    assert result.run == here / "run"
    assert (result.summary["credit"], heard) == ("halved", [1])
    stored = load_config(here / "run" / "config.yaml")  # by whoever evaluates or reports
    assert stored.parts == dict.fromkeys(("oracle", "credit", "task", "reward"), "object")
    with pytest.raises(UsageError, match=r"an? \w+ that was handed over in Python; go on with it from there"):
        train(resumed_config(here / "run", {"num_train_steps": 2}), resume=True)
    going_on = resumed_config(here / "run", {"num_train_steps": 2})
    result = train(going_on, **given, task=own_parts.load(config), resume=True)
    assert result.summary["steps"] == 2


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("cal_provider", "own_parts:FirstDiference", r"has no 'FirstDiference'; did you mean 'FirstDifference'\?"),
        ("credit", "own_part:halved", "there is no module 'own_part'"),
        ("credit", "own_parts:Example", "expected a function"),
        ("task", "own_parts:Tag", "own_parts:Tag"),
        ("reward", "own_parts:nothing", "has no 'nothing'"),
        ("cal_provider", "own_parts:reward", "own_parts:reward|reward"),
        ("credit", "balnced", "did you mean 'balanced'"),
    ],
)
def test_what_leads_nowhere_is_one_line_before_anything_is_written(here, key, name, message):
    with pytest.raises(UsageError, match=message) as refused:
        train(load(overrides=SMALL | {key: name, "output_dir": "run"}))
    assert "\n" not in str(refused.value)
    assert not (here / "run").exists()


def test_a_module_that_fails_says_where(here):
    (here / "broken.py").write_text("import math\n\nx = 1 / 0\n")
    with pytest.raises(UsageError, match=r"broken cannot be imported \(ZeroDivisionError: division by zero, line 3\)"):
        parts_of(load(overrides={"credit": "broken:mine"}), Given(), print)


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        (lambda prompts, completions, **_: [1.0], "expected 2 numbers"),
        (lambda prompts, completions, **_: [1.0, float("nan")], "expected finite numbers"),
        (lambda prompts, completions, **_: None, "expected 2 numbers"),
        (lambda prompts, completions, **_: ["a", "b"], "expected 2 numbers"),
        (lambda prompts, completions, **_: 1 / 0, "failed .ZeroDivisionError"),
    ],
)
def test_a_bad_reward_never_reaches_an_update(rewards, message):
    parts = parts_of(load(overrides=SMALL | {"use_cal": False}), Given(reward_fns=rewards), print)
    with pytest.raises(UsageError, match=message):
        parts.reward_fns[0](["p", "p"], ["a", "b"])


def test_names_of_built_in_parts_leave_no_trace_in_the_config(here):
    plain = load(overrides={"cal_provider": "reference@0.6 > openai:gpt4"})
    assert recorded(plain, Given()).parts == {}
    check_parts(plain, Given())
    mixed = load(overrides={"cal_provider": "reference@0.6 > own_parts:FirstDifference"})
    assert set(recorded(mixed, Given()).parts) == {"oracle"}


def test_parts_without_oracle_need_none():
    parts = parts_of(load(overrides={"credit": "grpo"}), Given(), print)
    assert isinstance(parts, Parts)
    assert parts.oracle is None
