import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from cal_grpo.engines.tunix.models import load_policy, save_policy
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.errors import UsageError

IDS_BT = np.array([[5, 300, 17, 250, 99, 4, 260, 31]])


def logits(model):
    length = IDS_BT.shape[1]
    causal_BTT = jnp.tril(jnp.ones((length, length), bool))[None]
    return np.asarray(nnx.jit(lambda m: m(jnp.asarray(IDS_BT), jnp.arange(length)[None], None, causal_BTT)[0])(model))


def transformers_logits(folder):
    import torch
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return model(torch.tensor(IDS_BT)).logits.numpy()


@pytest.mark.parametrize(
    ("model_type", "tied"), [("qwen2", True), ("qwen2", False), ("qwen3", True), ("llama", True), ("llama", False)]
)
def test_logits_equal_transformers_and_survive_export_and_reload(make_folder, tmp_path, model_type, tied):
    folder = make_folder(model_type=model_type, tie_word_embeddings=tied)
    policy = load_policy(folder, make_mesh())
    ours = logits(policy.model)
    np.testing.assert_allclose(ours, transformers_logits(folder), atol=2e-4)
    save_policy(policy, tmp_path / "out")
    original, exported = load_file(folder / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    assert original.keys() == exported.keys()
    for name, tensor in original.items():
        np.testing.assert_array_equal(tensor, exported[name])
    np.testing.assert_array_equal(ours, logits(load_policy(tmp_path / "out", make_mesh()).model))
    np.testing.assert_allclose(ours, transformers_logits(tmp_path / "out"), atol=2e-4)


def test_a_policy_can_be_written_back_to_its_own_folder(toy_folder):
    policy = load_policy(toy_folder, make_mesh())
    policy.model.embedder.input_embedding[...] = policy.model.embedder.input_embedding[...] * 2
    save_policy(policy, toy_folder)
    np.testing.assert_array_equal(logits(policy.model), logits(load_policy(toy_folder, make_mesh()).model))


def test_the_reference_policy_shares_no_buffer(toy_folder):
    from flax import nnx

    policy = load_policy(toy_folder, make_mesh())
    copy = policy.reference()
    before = logits(copy)
    nnx.update(policy.model, nnx.state(load_policy(toy_folder, make_mesh()).model))
    policy.model.embedder.input_embedding[...] = policy.model.embedder.input_embedding[...] * 2
    np.testing.assert_array_equal(before, logits(copy))


def edit_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def drop_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.0.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors")


def mix_dtypes(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].astype(np.float16)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "config.json: not found"),
        (lambda f: (f / "config.json").write_text("{"), "not a JSON object"),
        (lambda f: (f / "model.safetensors").unlink(), r"no \*.safetensors file"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x00" * 64), "cannot be read as safetensors"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
        (drop_tensor, r"1 tensors are missing, first 'layers.0.mlp.up_proj.kernel'"),
        (mix_dtypes, "mixed dtypes"),
        (lambda f: edit_config(f, model_type="mamba"), "model_type is 'mamba'; this engine trains"),
        (lambda f: edit_config(f, rope_scaling={"rope_type": "llama3", "factor": 8.0}), "rope_scaling='llama3'"),
        (lambda f: edit_config(f, rope_parameters={"rope_type": "yarn", "rope_theta": 1e4}), "rope_scaling='yarn'"),
        (lambda f: edit_config(f, hidden_act="gelu"), "hidden_act='gelu'"),
        (lambda f: edit_config(f, use_sliding_window=True), "use_sliding_window"),
    ],
)
def test_a_damaged_or_foreign_folder_is_one_line(toy_folder, damage, message):
    damage(toy_folder)
    with pytest.raises(UsageError, match=message) as error:
        load_policy(toy_folder, make_mesh())
    assert "\n" not in str(error.value)


def test_half_precision_folders_load_as_float32(make_folder):
    folder = make_folder(dtype=np.float16)
    policy = load_policy(folder, make_mesh())
    assert policy.model.embedder.input_embedding[...].dtype == jnp.float32
    np.testing.assert_allclose(logits(policy.model), transformers_logits(folder), atol=2e-4)
