"""The GSM8K recipe on TRL, as a shell starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")

from cal_grpo.tasks import stories

RECIPE = Path(__file__).parents[3] / "examples" / "rl" / "cal_ppo"


def test_the_recipe_trains_on_trl_and_what_is_set_for_tunix_alone_is_passed_over(folder, tmp_path):
    told = [next(stories(seed=seed, steps=2, split="train")) for seed in range(24)]
    (tmp_path / "train.jsonl").write_text(
        "".join(json.dumps({"question": e.question, "answer": e.reference}) + "\n" for e in told)
    )
    variables = {
        "ENGINE": "", "PYTHON": sys.executable, "MODEL_ID": str(folder), "DATA": "train.jsonl", "OUTPUT_DIR": "run",
        "NUM_TRAIN_STEPS": "1", "BATCH_SIZE": "2", "NUM_GENERATIONS": "2", "MAX_EVAL_SAMPLES": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = ["bash", RECIPE / "run_cal_gsm8k.sh", "rollout.max_new_tokens=8", "rollout.micro_batch_size=1", "tracker=none"]
    ran = subprocess.run(
        command, env=os.environ | variables, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["engine"], summary["steps"], summary["stopped"]) == ("trl", 1, None)
    assert "rollout.micro_batch_size=1 is passed over: TRL samples an update in one go" in " ".join(
        (ran.stdout + ran.stderr).split()
    )
    assert (tmp_path / "run" / "policy" / "model.safetensors").exists()
