"""Every family: a folder that transformers wrote is loaded, sampled from and written back as transformers reads it."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import tiny_models
from flax import nnx
from safetensors.numpy import load_file, save_file

from cal_grpo.config import TrainConfig
from cal_grpo.engines.reading import prompt_ids, render
from cal_grpo.engines.tunix.models import load_policy, save_policy
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.engines.tunix.rollouts.answering import answers, rollout_of
from cal_grpo.engines.tunix.training.cluster import build_cluster, rollout_settings
from cal_grpo.errors import UsageError
from cal_grpo.tasks.types import Example

# Longer than gemma3's window of 16
IDS_BT = np.random.default_rng(0).integers(3, 1024, size=(2, 40))
LINEAR = {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5},
          "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}  # fmt: skip


@pytest.fixture
def tiny(tmp_path):
    """``tiny(family, **changes to the config) -> folder``."""
    return lambda family, **changes: tiny_models.write(tmp_path / family, family, **changes)


def logits(model):
    length = IDS_BT.shape[1]
    causal_BTT = jnp.tril(jnp.ones((length, length), bool))[None].repeat(len(IDS_BT), axis=0)
    positions_BT = jnp.arange(length)[None].repeat(len(IDS_BT), axis=0)
    return np.asarray(nnx.jit(lambda m: m(jnp.asarray(IDS_BT), positions_BT, None, causal_BTT)[0])(model))


def transformers_model(folder):
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def transformers_logits(folder):
    import torch

    with torch.no_grad():
        return transformers_model(folder)(torch.tensor(IDS_BT)).logits.numpy()


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("qwen2", {}),
        ("qwen3", {}),
        ("llama3", {}),
        ("gemma3", {}),
        ("gemma3", {"num_key_value_heads": 1}),
        ("gemma3", {"num_key_value_heads": 4}),
        ("gemma3", {"query_pre_attn_scalar": 8, "num_hidden_layers": 7}),
        ("gemma3", {"rope_parameters": LINEAR}),
    ],
)
def test_logits_equal_transformers_and_the_export_is_what_was_loaded(tiny, tmp_path, family, changes):
    folder = tiny(family, **changes)
    policy = load_policy(folder, make_mesh())
    expected = transformers_logits(folder)
    assert expected.std() > 0.3  # the comparison is of something
    np.testing.assert_allclose(logits(policy.model), expected, atol=2e-4)
    save_policy(policy, tmp_path / "out")
    original, exported = load_file(folder / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    assert original.keys() == exported.keys()
    for name, tensor in original.items():
        np.testing.assert_array_equal(tensor, exported[name], err_msg=name)
    np.testing.assert_array_equal(transformers_logits(tmp_path / "out"), expected)


def test_an_older_gemma3_config_means_the_same(tiny):
    folder = tiny("gemma3", rope_parameters=LINEAR)
    config = json.loads((folder / "config.json").read_text())
    for name in ("rope_parameters", "layer_types", "_sliding_window_pattern"):
        del config[name]
    config |= {"rope_theta": 5e5, "rope_local_base_freq": 2e4, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    before = logits(load_policy(folder, make_mesh()).model)
    (folder / "config.json").write_text(json.dumps(config | {"sliding_window_pattern": 6}))
    np.testing.assert_array_equal(before, logits(load_policy(folder, make_mesh()).model))


@pytest.mark.parametrize(("family", "alone"), [("llama3", True), ("gemma3", False)])
def test_the_sampler_reads_the_template_and_decodes_as_transformers_does(tiny, family, alone):
    """BOS comes once, the end of the question is seen; padding, cache and window agree with the whole sequence."""
    import torch

    folder = tiny(family)
    policy = load_policy(folder, make_mesh())
    new_tokens = 24
    config = TrainConfig.model_validate({"beta": 0, "rollout": {"max_prompt_tokens": 48, "max_new_tokens": new_tokens}})
    mesh, settings = make_mesh(), rollout_settings(config, policy)
    rollout = rollout_of(policy, settings) if alone else build_cluster(config, policy, mesh, None).rollout
    examples = [Example(q, "1", "") for q in ("How many apples are there in the basket?", "One?")]
    prompts = [render(example.question, policy.tokenizer) for example in examples]
    given = rollout.generate
    seen = []
    rollout.generate = lambda prompts, config: seen.append(given(prompts, config)) or seen[-1]
    (batch,) = answers(rollout, mesh, settings, list(zip(prompts, examples, strict=True)), 2)
    texts = [answered.greedy.text for answered in batch]
    model = transformers_model(folder)
    for row, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        messages = [{"role": "user", "content": example.question}]
        ids = policy.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        assert ids == prompt_ids(prompt, policy.tokenizer)
        assert ids.count(policy.tokenizer.bos_token_id) == 1
        assert ids.count(policy.tokenizer.eos_token_id) == 1  # ends the question; must not count as padding
        padded = np.asarray(seen[0].left_padded_prompt_tokens)[row]
        assert padded[len(padded) - len(ids) :].tolist() == ids
        with torch.no_grad():
            made = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=new_tokens, pad_token_id=0)
        expected = made[0, len(ids) :].tolist()
        expected = expected[: expected.index(2)] if 2 in expected else expected
        assert np.asarray(seen[0].tokens[row]).tolist() == expected
        assert texts[row] == policy.tokenizer.decode(expected)


def edit_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gemma3"}, "model_type is 'gemma3'; this engine trains gemma3_text, llama"),
        ({"hidden_activation": "gelu"}, "hidden_activation='gelu'"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping=30.0"),
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping=50.0"),
        ({"rms_norm_eps": 1e-5}, "rms_norm_eps=1e-05"),
        ({"query_pre_attn_scalar": 12}, r"query_pre_attn_scalar=12.0.*expected 16 or 8"),
        ({"layer_types": ["full_attention"] * 6}, "full_attention every 6th layer"),
        ({"sliding_window_pattern": 4}, "sliding_window_pattern=4"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1e6}}}, "rope_scaling='yarn'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings=False"),
        ({"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ],
)
def test_what_tunix_gemma3_does_not_implement_is_refused(tiny, changes, message):
    folder = tiny("gemma3")
    edit_config(folder, **changes)
    with pytest.raises(UsageError, match=message) as error:
        load_policy(folder, make_mesh())
    assert "\n" not in str(error.value)


def test_a_missing_field_part_or_template_and_a_foreign_tensor_are_one_line(tiny):
    folder = tiny("gemma3")
    tensors = load_file(folder / "model.safetensors")
    value = tensors.pop("model.layers.1.self_attn.v_proj.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UsageError, match=r"1 tensors are missing, first 'layers.1.attn.v'"):
        load_policy(folder, make_mesh())
    save_file(tensors | {"model.layers.6.self_attn.v_proj.weight": value}, folder / "model.safetensors")
    with pytest.raises(UsageError, match=r"'model.layers.6.self_attn.v_proj.weight' has no place"):
        load_policy(folder, make_mesh())
    config = json.loads((folder / "config.json").read_text())
    del config["num_attention_heads"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="field 'num_attention_heads' is missing"):
        load_policy(folder, make_mesh())
    policy = load_policy(tiny("qwen3"), make_mesh())
    policy.tokenizer.chat_template = None
    with pytest.raises(UsageError, match="the tokenizer has no chat_template"):
        render("1+1?", policy.tokenizer)
