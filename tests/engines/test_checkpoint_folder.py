import json
import shutil

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


def edit_tensor(folder, name, change):
    tensors = load_file(folder / "model.safetensors")
    tensors[name] = np.ascontiguousarray(change(tensors[name]))
    save_file(tensors, folder / "model.safetensors")


def mix_dtypes(folder):
    edit_tensor(folder, "model.norm.weight", lambda tensor: tensor.astype(np.float16))


def all_integers(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.astype(np.int8) for name, tensor in tensors.items()}, folder / "model.safetensors")


def one_value(value):
    def change(tensor):
        tensor.flat[-1] = value
        return tensor

    return change


def write_index(folder, files, name="model.safetensors.index.json"):
    """``files``: tensor to file name, or a file name for all."""
    names = load_file(folder / "model.safetensors")
    (folder / name).write_text(json.dumps({"weight_map": files if isinstance(files, dict) else dict.fromkeys(names, files)}))


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
        (lambda f: edit_config(f, vocab_size="1024"), "vocab_size='1024'; expected a whole number above 0"),
        (lambda f: edit_config(f, num_attention_heads=0), "num_attention_heads=0; expected a whole number above 0"),
        (lambda f: edit_config(f, num_key_value_heads=3), "num_key_value_heads=3; expected a divisor of 4 heads"),
        (lambda f: edit_config(f, rope_scaling=8), "config.json: a field is of another kind than expected"),
        (all_integers, r"tensors are of dtype I8; expected one of BF16, F16, F32, F64"),
        (
            lambda f: edit_tensor(f, "model.embed_tokens.weight", lambda t: t[:1000]),
            r"model.safetensors: tensor 'model.embed_tokens.weight' has shape \(1000, 32\), but config.json describes "
            r"\(1024, 32\) \(vocab_size, hidden_size\)",
        ),
        (lambda f: edit_config(f, vocab_size=1030), r"has shape \(1024, 32\), but config.json describes \(1030, 32\)"),
        (
            lambda f: edit_tensor(f, "model.layers.0.mlp.down_proj.weight", lambda t: t.T),  # as many numbers
            r"'model.layers.0.mlp.down_proj.weight' has shape \(48, 32\), but config.json describes \(32, 48\)",
        ),
        (
            lambda f: edit_tensor(f, "model.layers.0.self_attn.k_proj.weight", lambda t: t.reshape(32, 16)),
            r"k_proj.weight' has shape \(32, 16\), but .* \(16, 32\) \(num_key_value_heads x head_dim, hidden_size\)",
        ),
        (lambda f: edit_tensor(f, "model.norm.weight", lambda t: t[None]), r"norm.weight' has shape \(1, 32\), but .* \(32,\)"),
        (
            lambda f: edit_tensor(f, "model.embed_tokens.weight", one_value(np.nan)),
            "model.safetensors: tensor 'model.embed_tokens.weight' holds a value that is not finite",
        ),
        (
            lambda f: edit_tensor(f, "model.layers.0.self_attn.v_proj.bias", one_value(np.inf)),
            "tensor 'model.layers.0.self_attn.v_proj.bias' holds a value that is not finite",
        ),
        (
            lambda f: shutil.copyfile(f / "model.safetensors", f / "old.safetensors"),
            "tensor 'model.embed_tokens.weight' of old.safetensors is in model.safetensors too; move one file away",
        ),
        (lambda f: write_index(f, "lost.safetensors"), "index.json: weight_map names lost.safetensors, which is not there"),
        (lambda f: write_index(f, "../toy/model.safetensors"), r"weight_map names '../toy/model.safetensors'; expected"),
        (lambda f: write_index(f, {"model.norm.weight": 3}), "field 'weight_map' is not an object of tensor and file names"),
        (lambda f: (f / "model.safetensors.index.json").write_text("{}"), "field 'weight_map' is not an object"),
        (lambda f: (f / "model.safetensors.index.json").write_text("["), "index.json: not a JSON object"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "the tokenizer cannot be read"),
        (lambda f: (f / "tokenizer_config.json").write_text("{"), "the tokenizer cannot be read"),
    ],
)
def test_a_damaged_or_foreign_folder_is_one_line(toy_folder, damage, message):
    damage(toy_folder)
    with pytest.raises(UsageError, match=message) as error:
        load_policy(toy_folder, make_mesh())
    assert "\n" not in str(error.value)


def test_only_files_that_the_index_names_are_loaded(toy_folder):
    """A stale file beside them, whatever it is called; shards hold each tensor once."""
    expected = logits(load_policy(toy_folder, make_mesh()).model)
    tensors = load_file(toy_folder / "model.safetensors")
    zeros = {name: np.zeros_like(tensor) for name, tensor in tensors.items()}
    names = sorted(tensors)
    shards = {name: f"model-0000{1 + (name > names[5])}-of-00002.safetensors" for name in names}
    write_index(toy_folder, shards)
    for file in set(shards.values()):
        save_file({name: tensors[name] for name in names if shards[name] == file}, toy_folder / file)
    for stale in ("model.safetensors", "a.safetensors", "z.safetensors"):
        save_file(zeros, toy_folder / stale)
    (toy_folder / "broken.safetensors").write_bytes(b"not loaded, so not read")
    policy = load_policy(toy_folder, make_mesh())
    np.testing.assert_array_equal(logits(policy.model), expected)
    save_policy(policy, toy_folder)  # beside the shards
    np.testing.assert_array_equal(logits(load_policy(toy_folder, make_mesh()).model), expected)
    repeated = {name: tensors[name] for name in names if shards[name] == shards[names[0]] or name == names[-1]}
    write_index(toy_folder, shards)
    save_file(repeated, toy_folder / shards[names[0]])
    with pytest.raises(UsageError, match=f"{names[-1]}' of model-00002-of-00002.safetensors is in model-00001-of-00002"):
        load_policy(toy_folder, make_mesh())


def test_an_export_holds_config_tokenizer_and_licence_alone(toy_folder, tmp_path):
    others = (".env", "optimizer.pt", "optimizer.bin", "training_args.bin", "notes.txt", "README.md", "adapter_config.json",
              "trainer_state.json", "model.py", "pytorch_model.bin", "scheduler.pt", ".gitattributes")  # fmt: skip
    for name in (*others, "LICENSE"):
        (toy_folder / name).write_text("sk-secret")
    secret = tmp_path / "elsewhere.txt"
    secret.write_text("sk-secret")
    for name in ("merges.txt", "NOTICE", "linked.json"):
        (toy_folder / name).symlink_to(secret)
    save_policy(load_policy(toy_folder, make_mesh()), tmp_path / "out")
    expected = {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
        "LICENSE",
    }
    assert {file.name for file in (tmp_path / "out").iterdir()} == expected


def test_a_snapshot_of_the_hubs_cache_is_exported_as_files(toy_folder, tmp_path):
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (toy_folder / "merges.txt").write_text("#version: 0.2\n")
    for number, file in enumerate(sorted(toy_folder.iterdir())):
        (blobs / str(number)).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    save_policy(load_policy(snapshot, make_mesh()), tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in toy_folder.iterdir()}
    assert not any(file.is_symlink() for file in (tmp_path / "out").iterdir())
    load_policy(tmp_path / "out", make_mesh())


def test_half_precision_folders_load_as_float32(make_folder):
    folder = make_folder(dtype=np.float16)
    policy = load_policy(folder, make_mesh())
    assert policy.model.embedder.input_embedding[...].dtype == jnp.float32
    np.testing.assert_allclose(logits(policy.model), transformers_logits(folder), atol=2e-4)
