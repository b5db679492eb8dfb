import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from cal_grpo.config import TrainConfig, load_config
from cal_grpo.oracles.departure import departure
from cal_grpo.oracles.judges.few_shot import load_few_shot

RECIPE = Path(__file__).parents[2] / "examples" / "rl" / "cal_ppo"
SCRIPT = runpy.run_path(str(RECIPE / "cal_gsm8k.py"), run_name="recipe")


def test_every_variable_is_a_config_key_and_stands_in_the_readme():
    readme = (RECIPE / "README.md").read_text()
    for name in SCRIPT["VARIABLES"]:
        assert name.lower() in TrainConfig.model_fields
        assert f"| `{name}` |" in readme


def test_the_environment_wins_over_the_defaults_and_empty_is_not_set():
    config = load_config(overrides=SCRIPT["overrides"]({"USE_CAL": "false", "LEARNING_RATE": "3e-5", "SEED": "", "HOME": "/"}))
    assert (config.task, config.use_cal, config.learning_rate, config.seed) == ("gsm8k", False, 3e-5, 0)


def test_trl_is_taken_where_it_is_installed():
    assert SCRIPT["usual_engine"]() == ("trl" if importlib.util.find_spec("trl") else "tunix")


def test_the_few_shot_examples_load_and_both_styles_blame_the_same_place():
    examples = load_few_shot(RECIPE / "cal_few_shot_examples.json")
    assert len(examples) >= 5
    for example in examples:
        found = departure(example.incorrect_solution, example.corrected_solution)
        assert found is not None
        assert example.error_segment in found[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "num_generations is 1"),
        (["lora.rank=0"], "lora.rank = 0"),
        (["lora.rang=8"], "unknown config key 'lora.rang'; did you mean 'lora.rank'?"),
        (["8"], "argument got '8'; expected key=value"),
    ],
)
def test_a_bad_setting_is_one_line_and_status_2(tmp_path, arguments, message):
    run = subprocess.run(
        ["bash", RECIPE / "run_cal_gsm8k.sh", *arguments],
        env=os.environ | {"PYTHON": sys.executable, "NUM_GENERATIONS": "4" if arguments else "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith(f"cal_gsm8k: {message}")
    assert run.stderr.count("\n") == 1
