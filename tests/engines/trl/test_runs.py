"""Runs on TRL: what the contract does not ask, its own settings, LoRA, damaged folders, an update that is not finite."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from trl import GRPOConfig

from cal_grpo.config import load_config
from cal_grpo.credit import formula
from cal_grpo.engines import Parts
from cal_grpo.engines.trl import TRLEngine
from cal_grpo.errors import RunFailed, UsageError
from cal_grpo.oracles import CALOracle
from cal_grpo.tasks import TaskData, stories

TASK = TaskData(
    [next(stories(seed=seed, steps=2, split="train")) for seed in range(4)],
    [next(stories(seed=seed, steps=2, split="eval")) for seed in range(2)],
    prompt_tokens=96,
    answer_tokens=24,
)
SETTINGS = {
    "engine": "trl", "num_train_steps": 3, "batch_size": 2, "num_generations": 4, "learning_rate": 1e-2, "beta": 0.1,
    "rollout.max_prompt_tokens": 96, "rollout.max_new_tokens": 24, "checkpoint.every": 1, "eval.batch_size": 2,
}  # fmt: skip


@pytest.fixture
def opened(folder, oracle):
    """``opened(**changes)``: an engine that is ready to start."""
    made = []

    def open_engine(reward_fns=(), credit="prefix", **changes):
        config = load_config(overrides={"model_id": str(folder)} | SETTINGS | changes)
        asked = CALOracle(oracle)
        engine = TRLEngine.open(config, Parts(TASK, formula(credit), asked, reward_fns))
        made.extend([engine, asked])
        return engine

    yield open_engine
    for one in made:
        one.close()


def ignore(*_):
    pass


def learned(engine, run):
    rows = []
    engine.start(run, ignore, rows.append)
    engine.learn(lambda: False)
    return rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh.fsdp": 2}, "mesh.fsdp is 2, Tunix's mesh"),
        ({"trl.learning_rate": 1.0}, "trl.learning_rate is a key of the run's own; set learning_rate instead"),
        ({"trl.credit": "prefix"}, "trl.credit is a key of the run's own; set credit instead"),
        ({"trl.gradient_checkpointing": True}, "set remat instead"),
        ({"trl.num_iterations": 2}, "trl.num_iterations is set, but an update is made on the answers"),
        ({"trl.loss_typ": "grpo"}, "TRL has no setting 'loss_typ'; did you mean trl.loss_type"),
        ({"trl.delta": "much"}, "trl.delta is 'much'"),
        ({"trl.loss_type": "vespo"}, "loss_type is 'vespo'"),
        ({"trl.importance_sampling_level": "sequence"}, "importance_sampling_level is 'sequence'"),
        ({"trl.lr_scheduler_type": "wavy"}, "TRL refuses these settings .*wavy"),
        ({"trl.model_init_kwargs": "bf16"}, "trl.model_init_kwargs"),
        ({"engine": "tunix", "trl.bf16": True}, "trl.bf16 is set and the engine is tunix"),
    ],
)
def test_a_key_that_the_engine_does_not_have_is_one_line(opened, changes, message):
    with pytest.raises(UsageError, match=message) as error:
        opened(**changes)
    assert "\n" not in str(error.value)


def test_settings_of_trls_own_reach_its_trainer(opened, tmp_path):
    engine = opened(
        **{"trl.loss_type": "dr_grpo", "trl.weight_decay": 0.25, "remat": True, "trl.model_init_kwargs": {"dtype": "bfloat16"}}
    )
    engine.start(tmp_path / "run", ignore, ignore)
    args = engine._trainer.args
    assert (args.loss_type, args.weight_decay, args.gradient_checkpointing) == ("dr_grpo", 0.25, True)
    assert engine._model.dtype == torch.bfloat16
    assert (args.generation_batch_size, args.per_device_train_batch_size, args.max_steps) == (8, 8, 3)


@pytest.mark.parametrize(("changes", "message"), [({"trl.use_vllm": True}, "vLLM"), ({"trl.report_to": "nosuch"}, "nosuch")])
def test_what_trl_itself_refuses_is_one_line(opened, tmp_path, changes, message):
    with pytest.raises(UsageError, match=f"TRL refuses these settings .*{message}") as error:
        opened(**changes).start(tmp_path / "run", ignore, ignore)
    assert "\n" not in str(error.value)


def test_every_setting_that_the_pages_name_is_one_of_trls():
    root = Path(__file__).parents[3]
    pages = [root / "README.md", *(root / "docs").glob("*.md")]
    named = {key for page in pages for key in re.findall(r"--set trl\.(\w+)=", page.read_text())}
    assert named
    assert named <= {field.name for field in dataclasses.fields(GRPOConfig)}


def test_a_reward_of_ones_own_sees_texts_and_examples(opened, tmp_path):
    seen = []

    def reward(prompts, completions, question, answer, reference, example, **_):
        seen.extend(zip(prompts, completions, question, answer, reference, example, strict=True))
        return [float(len(text)) for text in completions]

    rows = learned(opened([reward], num_train_steps=1), tmp_path / "run")
    assert rows[0]["reward"] == pytest.approx(np.mean([len(one[1]) for one in seen]), rel=1e-4)
    for prompt, _, question, answer, reference, example in seen:
        assert question in prompt
        assert (question, answer, reference) == (example.question, example.answer, example.reference)


def test_lora_trains_adapters_alone_and_exports_them_merged_and_apart(opened, folder, tmp_path):
    engine = opened(**{"lora.rank": 4, "lora.save_adapter": True})
    rows = learned(engine, tmp_path / "run")
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert rows[-1]["kl"] > 1e-5  # away from the model below the adapters, which is the reference
    engine.save_policy(tmp_path / "run" / "policy")
    original, merged = load_file(folder / "model.safetensors"), load_file(tmp_path / "run" / "policy" / "model.safetensors")
    assert set(merged) == set(original)
    changed = {name for name in merged if not torch.equal(merged[name], original[name])}
    assert changed == {name for name in merged if name.endswith("_proj.weight")}
    from peft import PeftModel

    ids = torch.arange(20, 40)[None]
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        apart = PeftModel.from_pretrained(base, tmp_path / "run" / "adapter")(ids).logits
        whole = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "policy", dtype=torch.float32)(ids).logits
        trained = engine._trainer.model(ids).logits
    torch.testing.assert_close(apart, trained, atol=5e-4, rtol=1e-4)
    torch.testing.assert_close(whole, trained, atol=5e-4, rtol=1e-4)
    resumed = opened(**{"lora.rank": 4, "num_train_steps": 4})
    assert [row["step"] for row in learned(resumed, tmp_path / "run")] == [4]


def test_an_update_that_is_not_finite_ends_the_run_without_a_checkpoint_of_it(opened, tmp_path):
    engine = opened()
    rows = []
    engine.start(tmp_path / "run", ignore, rows.append)
    compute = engine._trainer._compute_loss

    def poisoned(model, inputs):
        return compute(model, inputs) * (float("nan") if engine._trainer.state.global_step == 1 else 1.0)

    engine._trainer._compute_loss = poisoned
    with pytest.raises(RunFailed, match=r"update 2 is not finite \(.*loss nan") as error:
        engine.learn(lambda: False)
    assert (error.value.stopped, error.value.updates, "\n" in str(error.value)) == ("not finite", 1, False)
    assert [row["step"] for row in rows] == [1]
    assert TRLEngine.find_checkpoint(tmp_path / "run").update == 1


def test_a_checkpoint_that_is_damaged_is_put_aside_and_an_unfinished_one_is_none(opened, tmp_path):
    run = tmp_path / "run"
    learned(opened(), run)
    checkpoints = run / "checkpoints"
    assert sorted(path.name for path in checkpoints.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-3"]
    (checkpoints / "checkpoint-4").mkdir()
    tensors = load_file(checkpoints / "checkpoint-3" / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, checkpoints / "checkpoint-3" / "model.safetensors", metadata={"format": "pt"})
    told, found = [], TRLEngine.find_checkpoint(run)
    assert found.update == 2
    found.set_aside(told.append)
    assert len(told) == 1
    assert "model.norm.weight is not finite" in told[0]
    assert (checkpoints / "damaged-3").is_dir()


def damage_lacking(folder, tensors):
    save_file({n: t for n, t in tensors.items() if "o_proj" not in n}, folder / "model.safetensors", metadata={"format": "pt"})


def damage_nan(folder, tensors):
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def damage_shape(folder, tensors):
    tensors["model.norm.weight"] = torch.ones(7)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def damage_torn(folder, tensors):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def damage_kind(folder, tensors):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "no_such_model"}))


@pytest.mark.parametrize("damage", [damage_lacking, damage_nan, damage_shape, damage_torn, damage_kind])
def test_a_folder_that_cannot_be_trained_is_one_line(opened, folder, tmp_path, damage):
    import shutil

    broken = shutil.copytree(folder, tmp_path / "broken")
    damage(broken, load_file(folder / "model.safetensors"))
    with pytest.raises(UsageError, match="broken") as error:
        opened(model_id=str(broken))
    assert "\n" not in str(error.value)


def test_the_command_line_trains_evaluates_and_refuses_with_the_same_statuses(folder, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "cal_grpo", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)

    small = ["--engine", "trl", "--set", "rollout.max_new_tokens=16", "--set", "ledger.steps=2"]
    trained = run(
        "train", *small, "--model", folder, "--output", tmp_path / "run", "--json", "--set", "num_train_steps=2",
        "--set", "batch_size=1", "--set", "num_generations=2", "--set", "max_eval_samples=2",
    )  # fmt: skip
    summary = json.loads(trained.stdout)
    assert trained.returncode == 0
    assert trained.stderr.splitlines() == [f"cal-grpo: {note}" for note in summary["notes"]]  # no line of TRL's
    assert (summary["engine"], summary["device"], summary["steps"], summary["compile_s"]) == ("trl", "cpu", 2, 0.0)
    shown = run("inspect", tmp_path / "run", "--json")
    assert shown.returncode == 0
    assert run("report", tmp_path / "run").returncode == 0
    asked = run("eval", *small, "--model", tmp_path / "run" / "policy", "--samples", 2, "--questions", 2, "--json")
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["pass"].keys() == {"1", "2"}
    refused = run("train", *small, "--model", folder, "--set", "trl.bf61=true", "--json")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "did you mean trl.bf16?" in refused.stderr
