"""LoRA: what is trained, what stays, and what is written."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_models
from flax import nnx
from safetensors.numpy import load_file
from tunix.rl import utils as tunix_utils

from cal_grpo.config import LoraSection, load_config
from cal_grpo.engines.tunix import engine
from cal_grpo.engines.tunix.models import load_policy, save_policy
from cal_grpo.engines.tunix.models.lora import save_adapter, with_lora
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.errors import UsageError
from cal_grpo.oracles import Tag, Verdict
from cal_grpo.runs.training import train

IDS_BT = np.random.default_rng(0).integers(3, 1024, size=(2, 24))


def logits(model):
    length = IDS_BT.shape[1]
    causal_BTT = jnp.tril(jnp.ones((length, length), bool))[None].repeat(len(IDS_BT), axis=0)
    positions_BT = jnp.arange(length)[None].repeat(len(IDS_BT), axis=0)
    return np.asarray(nnx.jit(lambda m: m(jnp.asarray(IDS_BT), positions_BT, None, causal_BTT)[0])(model))


def transformers_logits(folder, adapter=None):
    """Of a folder, with an adapter applied as PEFT does: W + alpha / r * B A, by PEFT's names."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        if adapter is not None:
            config = json.loads((adapter / "adapter_config.json").read_text())
            tensors = load_file(adapter / "adapter_model.safetensors")
            names = {name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")}
            adapted = {name for name, _ in model.named_modules() if name.rpartition(".")[2] in config["target_modules"]}
            assert names == {f"base_model.model.{name}" for name in adapted}
            assert len(tensors) == 2 * len(names)
            for name in names:
                a, b = (torch.tensor(tensors[f"{name}.lora_{letter}.weight"]) for letter in "AB")
                assert a.shape[0] == b.shape[1] == config["r"]
                model.get_submodule(name.removeprefix("base_model.model.")).weight += (
                    config["lora_alpha"] / config["r"] * (b @ a)
                )
        return model(torch.tensor(IDS_BT)).logits.numpy()


def randomise(model):
    """Adapters that change something."""
    state = nnx.state(model, nnx.LoRAParam)
    key = jax.random.key(1)
    nnx.update(model, jax.tree.map(lambda x: 0.2 * jax.random.normal(jax.random.fold_in(key, x.size), x.shape), state))


@pytest.mark.parametrize(
    ("family", "changes", "lora"),
    [
        ("qwen2", {}, {"rank": 3}),
        ("qwen3", {}, {"rank": 2, "alpha": 5, "modules": ("q_proj", "o_proj", "down_proj")}),
        ("llama3", {}, {"rank": 3, "alpha": 1}),
        ("gemma3", {}, {"rank": 3}),
        ("gemma3", {"num_key_value_heads": 4}, {"rank": 2, "modules": ("q_proj", "k_proj", "v_proj")}),
    ],
)
def test_merged_and_alone_adapters_give_the_models_logits_in_transformers(tmp_path, family, changes, lora):
    folder = tiny_models.write(tmp_path / family, family, **changes)
    plain = load_policy(folder, make_mesh())
    before = logits(plain.model)
    policy = with_lora(plain, LoraSection(**lora), seed=0, mesh=make_mesh())
    assert tunix_utils.is_sharing_backbone(policy.model, policy.reference())
    np.testing.assert_allclose(logits(policy.model), before, atol=1e-5)
    randomise(policy.model)
    adapted = logits(policy.model)
    assert np.abs(adapted - before).max() > 0.1
    np.testing.assert_array_equal(logits(policy.reference()), before)
    save_policy(policy, tmp_path / "merged")
    save_adapter(policy, tmp_path / "adapter", "org/name")
    np.testing.assert_allclose(transformers_logits(tmp_path / "merged"), adapted, atol=5e-4)
    np.testing.assert_allclose(transformers_logits(folder, tmp_path / "adapter"), adapted, atol=5e-4)
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == "org/name"
    np.testing.assert_allclose(logits(load_policy(tmp_path / "merged", make_mesh()).model), adapted, atol=5e-4)


class BlamesStarts:
    name = "blames-starts"

    async def locate(self, query):
        segment = query.response.strip()[:5]
        return Verdict(Tag.FOUND, segment=segment) if segment else Verdict(Tag.ABSTAINED)


def test_a_training_moves_the_adapter_alone_and_the_rollouts_follow(tmp_path, monkeypatch):
    clusters = []
    build = engine.build_cluster
    monkeypatch.setattr(engine, "build_cluster", lambda *args: clusters.append(build(*args)) or clusters[-1])
    folder = tiny_models.write(tmp_path / "qwen3", "qwen3")
    ends = {"eos_token_id": [2, *range(100, 500, 16)]}  # so that random answers end
    (folder / "generation_config.json").write_text(json.dumps(ends))
    settings = {
        "model_id": str(folder), "output_dir": str(tmp_path / "run"), "num_train_steps": 2, "batch_size": 2,
        "micro_batch_size": 1, "num_generations": 4, "max_eval_samples": 0, "learning_rate": 5e-2, "ledger.steps": 2,
        "rollout.max_new_tokens": 48, "rollout.max_prompt_tokens": 96, "lora.rank": 4, "lora.save_adapter": True, "remat": True,
    }  # fmt: skip
    trained = train(load_config(overrides=settings), oracle=BlamesStarts())
    assert trained.summary["steps"] == 2
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["grad_norm"] > 1e-3
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-6)  # the reference is the policy before training
    assert rows[1]["kl"] > 1e-5
    (cluster,) = clusters
    np.testing.assert_array_equal(logits(cluster.rollout.model()), logits(cluster.actor_trainer.model))
    merged, original = (load_file(f / "model.safetensors") for f in (tmp_path / "run" / "policy", folder))
    moved = {name for name, tensor in original.items() if not np.array_equal(tensor, merged[name])}
    assert moved == {name for name in original if name.endswith("_proj.weight")}
    adapter = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    for name in moved:
        a, b = (adapter[f"base_model.model.{name.removesuffix('.weight')}.lora_{letter}.weight"] for letter in "AB")
        np.testing.assert_allclose(merged[name], original[name] + 2.0 * b @ a, atol=1e-6)


def test_modules_in_one_parameter_are_adapted_together(tmp_path):
    policy = load_policy(tiny_models.write(tmp_path / "gemma3", "gemma3"), make_mesh())
    with pytest.raises(UsageError, match="keeps k_proj in one parameter with others of q_proj, v_proj; name k_proj too"):
        with_lora(policy, LoraSection(rank=2, modules=("q_proj", "v_proj")), seed=0, mesh=make_mesh())
