"""The main job through the command line, on the embedded policy, a few updates long."""

import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from cal_grpo.policies import EMBEDDED

SMALL = {
    "num_train_steps": 2, "batch_size": 4, "micro_batch_size": 2, "num_generations": 4, "ledger.steps": 3,
    "max_eval_samples": 10, "eval.batch_size": 8,
}  # fmt: skip


def command(output, **settings):
    pairs = [part for key, value in (SMALL | settings).items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "cal_grpo", "train", "--output", str(output), *pairs]


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run: its folder and what it printed as JSON."""
    output = tmp_path_factory.mktemp("runs") / "run"
    done = subprocess.run([*command(output), "--json"], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return output, json.loads(done.stdout)


def test_the_summary_has_the_promised_keys(finished):
    output, printed = finished
    summary = json.loads((output / "summary.json").read_text())
    assert printed == summary | {"output": str(output)}
    assert (summary["seed"], summary["engine"], summary["credit"], summary["steps"]) == (0, "tunix", "prefix", 2)
    assert summary["eval"]["n"] == 10
    assert 0 <= summary["eval"]["after"] <= 1
    assert summary["wall_s"] > summary["compile_s"] > 0
    oracle = summary["oracle"]
    assert oracle["asked"] == oracle["found"] + sum(oracle["missed"].values()) > 0
    assert oracle["usd"] == 0


def test_metrics_have_one_row_an_update_and_samples_one_a_rollout(finished):
    output, _ = finished
    rows = lines(output / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert np.isfinite([row["loss"], row["kl"], row["entropy"], row["grad_norm"], row["cal/advantage_variance_grpo"]]).all()
        assert row["accuracy"] == pytest.approx(row["reward"])
    samples = lines(output / "samples.jsonl")
    assert [s["step"] for s in samples] == [1] * 16 + [2] * 16  # 4 questions x 4 answers
    for sample in samples:
        assert sum(count for _, count in sample["advantages"]) == sample["tokens"]
        assert sum(sample["advantage_characters"]) == len(sample["response"])
        assert ("verdict" in sample) == (not sample["correct"])
        if "span" in sample:
            start, end = sample["span"]["characters"]
            assert sample["response"][start:end] == sample["verdict"]["segment"]
    evaluated = lines(output / "eval.jsonl")
    assert [row["when"] for row in evaluated] == ["before"] * 10 + ["after"] * 10
    assert list((output / "tensorboard").iterdir())
    assert list((output / "checkpoints" / "actor").iterdir())
    assert "num_train_steps: 2" in (output / "config.yaml").read_text()


def test_the_final_policy_loads_as_a_hugging_face_folder_and_has_moved(finished):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    output, _ = finished
    tokenizer = AutoTokenizer.from_pretrained(output / "policy")
    messages = [{"role": "user", "content": "Tom has 3 pens. He buys 4 more. How many pens does Tom have?"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    ids = torch.tensor([tokenizer.encode(prompt)])
    with torch.no_grad():
        after, before = (
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(ids).logits.numpy()
            for folder in (output / "policy", EMBEDDED)
        )
    assert np.isfinite(after).all()
    assert 1e-4 < np.abs(after - before).max() < 5


def test_the_final_policy_evaluates_to_what_the_run_says(finished, tmp_path):
    output, _ = finished
    arguments = ["--config", output / "config.yaml", "--model", output / "policy", "--output", tmp_path / "eval", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "cal_grpo", "eval", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["greedy"]["value"] == json.loads((output / "summary.json").read_text())["eval"]["after"]
    trained = [row["response"] for row in lines(output / "eval.jsonl") if row["when"] == "after"]
    assert [row["greedy"]["response"] for row in lines(tmp_path / "eval" / "answers.jsonl")] == trained


@pytest.fixture
def interruptible():
    """Children that hear SIGINT: a job in the background of a script inherits, and hands on, that it is ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_keep_the_updates_so_far(tmp_path, number):
    arguments = command(tmp_path / "run", num_train_steps=500)
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search(r"update \d+/500", line):  # lines are seconds apart, so the first may be skipped
                process.send_signal(number)
                break
        rest = process.stderr.read()
        status = process.wait()
    assert "Traceback" not in rest
    assert status == 130
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["interrupted"]
    assert 1 <= summary["steps"] < 500
    assert summary["eval"]["before"] is not None
    assert summary["eval"]["after"] is None
    assert (tmp_path / "run" / "policy" / "model.safetensors").exists()
    assert (tmp_path / "run" / "checkpoints" / "actor" / str(summary["steps"])).exists()
    assert len(lines(tmp_path / "run" / "metrics.jsonl")) == summary["steps"]
