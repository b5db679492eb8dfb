"""A toy policy: the embedded policy's tokenizer and family with random weights, small enough to train in seconds."""

import json
import shutil

import numpy as np
from safetensors.numpy import save_file

from cal_grpo.policies import EMBEDDED


def write_folder(folder, *, seed=0, dtype=np.float32, **changes):
    """A random one-layer Qwen2 checkpoint folder with the embedded tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((EMBEDDED / "config.json").read_text())
    config |= {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8,
    } | changes  # fmt: skip
    rng = np.random.default_rng(seed)
    d, f, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    kv = config["num_key_value_heads"] * head
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], d), "model.norm.weight": (d,)}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name, rows in (("q", d), ("k", kv), ("v", kv)):
            shapes[f"{layer}self_attn.{name}_proj.weight"] = (rows, d)
            if config["model_type"] == "qwen2":
                shapes[f"{layer}self_attn.{name}_proj.bias"] = (rows,)
            if config["model_type"] == "qwen3" and name != "v":
                shapes[f"{layer}self_attn.{name}_norm.weight"] = (head,)
        shapes |= {
            f"{layer}self_attn.o_proj.weight": (d, d),
            f"{layer}mlp.gate_proj.weight": (f, d),
            f"{layer}mlp.up_proj.weight": (f, d),
            f"{layer}mlp.down_proj.weight": (d, f),
            f"{layer}input_layernorm.weight": (d,),
            f"{layer}post_attention_layernorm.weight": (d,),
        }
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], d)
    tensors = {name: (0.2 * rng.standard_normal(shape) + (len(shape) == 1)).astype(dtype) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(EMBEDDED / name, folder / name)
    # Random answers would never end: with this many end tokens about half of those of 16 tokens do.
    ends = [2, *range(100, config["vocab_size"], 16)]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends, "pad_token_id": 0}))
    return folder
