"""An update that is not finite: the run ends there, with what was good before it."""

import itertools
import json
import shutil

import numpy as np
import pytest
import tensorstore
from safetensors.numpy import load_file, save_file

from cal_grpo.cli import run_app
from cal_grpo.cli.app import app
from cal_grpo.config import TrainConfig, load_config
from cal_grpo.engines.reading import batches, fitting
from cal_grpo.engines.tunix import CALGRPOConfig, CALGRPOLearner
from cal_grpo.engines.tunix.models import load_policy, make_mesh
from cal_grpo.engines.tunix.restore import newest_checkpoint
from cal_grpo.engines.tunix.training.cluster import build_cluster
from cal_grpo.errors import RunFailed, UsageError
from cal_grpo.runs.resume import is_finished
from cal_grpo.tasks.ledger import stories

SETTINGS = {
    "num_train_steps": 4, "batch_size": 2, "num_generations": 4, "max_eval_samples": 0, "ledger.steps": 2,
    "rollout.max_new_tokens": 16, "rollout.max_prompt_tokens": 96, "checkpoint.every": 1, "optimizer.warmup_steps": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def exploded(shared_toy_folder, tmp_path_factory):
    """A training whose second update is not finite, by the command line: its folder, status and what it said."""
    run = tmp_path_factory.mktemp("exploded") / "run"
    settings = SETTINGS | {"learning_rate": 1e30}
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["cal-grpo", "train", "--model", str(shared_toy_folder), "--output", str(run), *pairs]
        patch.setattr("sys.argv", arguments)
        said = []
        patch.setattr("builtins.print", lambda *parts, **_: said.append(" ".join(map(str, parts))))
        with pytest.raises(SystemExit) as stopped:
            run_app(app, "cal-grpo")
    return run, stopped.value.code, said


def test_the_run_stops_with_its_last_finite_checkpoint(exploded):
    run, status, said = exploded
    assert status == 1
    assert len(said) == 1
    assert said[0].startswith("cal-grpo: update 2 is not finite (grad_norm nan, parameter ")
    assert "its last checkpoint, of update 1, is finite" in said[0]
    assert "\n" not in said[0]
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["stopped"], summary["steps"], summary["interrupted"]) == ("not finite", 1, False)
    assert not is_finished(load_config(run / "config.yaml", {"output_dir": str(run)}))
    assert not (run / "policy").exists()
    assert [path.name for path in (run / "checkpoints" / "actor").iterdir()] == ["1"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert rows[1]["grad_norm"] is None
    assert newest_checkpoint(run).update == 1


@pytest.mark.parametrize("part", ["model_params", "optimizer_state"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_checkpoint_that_is_not_finite_is_never_gone_on_from(exploded, tmp_path, part, value):
    actor = tmp_path / "checkpoints" / "actor"
    shutil.copytree(exploded[0] / "checkpoints" / "actor" / "1", actor / "1")
    shutil.copytree(actor / "1", actor / "2")
    name = spoil(actor / "2" / part, value)
    notes, found = [], newest_checkpoint(tmp_path)
    assert found.update == 1
    assert (actor / "2").is_dir()  # to find it touches nothing
    found.set_aside(notes.append)
    assert not (actor / "2").exists()
    assert f"update 2 cannot be read ({part}: {name} is not finite); kept as damaged-2" in notes[0]
    spoil(actor / "1" / part, value)
    with pytest.raises(UsageError, match=r"no checkpoint can be read .*is not finite"):
        newest_checkpoint(tmp_path)


def spoil(folder, value):
    """Write a value into one of a checkpoint's arrays. Returns its name."""
    tree = json.loads((folder / "_METADATA").read_text())["tree_metadata"]
    names = [".".join(part["key"] for part in leaf["key_metadata"]) for leaf in tree.values()]
    name = next(name for name in names if "norm" in name)
    store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}, "path": f"{name}/"}
    array = tensorstore.open({"driver": "zarr", "kvstore": store}).result()
    array[3].write(value).result()
    return name


def learner_of(folder, run_dir):
    """A learner as a library's user builds it, without a run around it; and its data."""
    changes = {"num_train_steps": 3, "batch_size": 2, "num_generations": 4, "beta": 0.0, "learning_rate": 1e-3}
    rollout = {"max_prompt_tokens": 96, "max_new_tokens": 16}
    config = TrainConfig.model_validate(changes | {"rollout": rollout, "checkpoint": {"every": 1}})
    policy = load_policy(folder, make_mesh())
    cluster = build_cluster(config, policy, make_mesh(), run_dir)
    learner = CALGRPOLearner(cluster, CALGRPOConfig(num_generations=4, use_cal=False, beta=0.0))
    pairs, _ = fitting(list(itertools.islice(stories(seed=0, steps=2, split="train"), 8)), policy.tokenizer, 96, "training")
    return learner, batches(pairs, 2, seed=0)


def test_credit_that_is_not_finite_stops_a_learner_without_a_run(shared_toy_folder, tmp_path):
    learner, data = learner_of(shared_toy_folder, tmp_path)
    advantages, factors = learner._generate_and_compute_advantage, iter((1.0, np.nan))

    def spoilt(*args, **kwargs):
        example = advantages(*args, **kwargs)
        return example.replace(advantages=example.advantages * next(factors))

    learner._generate_and_compute_advantage = spoilt
    with pytest.raises(RunFailed, match=r"update 2 is not finite \(loss nan, grad_norm nan") as failed:
        learner.train(data)
    assert (failed.value.stopped, failed.value.updates) == ("not finite", 1)
    learner.rl_cluster.actor_trainer.checkpoint_manager.close()
    assert [path.name for path in (tmp_path / "checkpoints" / "actor").iterdir()] == ["1"]


def test_weights_that_become_infinite_in_the_last_update_are_not_saved(shared_toy_folder, tmp_path):
    """Nothing after it would show: its loss and its gradient are finite."""
    from cal_grpo.runs import train

    changes = {"model_id": str(shared_toy_folder), "output_dir": str(tmp_path / "run"), "learning_rate": 1e39}
    with pytest.raises(RunFailed, match=r"update 1 is not finite \(parameter .*there was no checkpoint yet"):
        train(load_config(overrides=SETTINGS | changes | {"num_train_steps": 1}))
    assert not (tmp_path / "run" / "policy").exists()
    assert not list((tmp_path / "run" / "checkpoints" / "actor").iterdir())


def test_half_precision_weights_that_are_not_finite_are_refused(make_folder):
    folder = make_folder(dtype=np.float16)
    tensors = load_file(folder / "model.safetensors")
    with np.errstate(over="ignore"):
        tensors["model.norm.weight"] = (tensors["model.norm.weight"].astype(np.float32) * 1e9).astype(np.float16)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UsageError, match=r"tensor 'model.norm.weight' holds a value that is not finite"):
        load_policy(folder, make_mesh())
