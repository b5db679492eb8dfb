"""Tiny checkpoint folders of random weights, one for each model family, to try the engine without a download.

    python scripts/tiny_models.py --output tiny
    cal-grpo train --model tiny/gemma3 --task gsm8k --data train.jsonl --set num_train_steps=2

transformers writes the folders, so that names, config and layout are those of a real checkpoint of the family; the
tokenizer is the embedded policy's, with the family's special tokens and the form of its chat template. Needs torch.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from cal_grpo.policies import EMBEDDED

SHARED = {
    "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 1024, "initializer_range": 0.2, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
IM = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TURNS = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant\n{% endif %}"
)
# Family to its config, beside what all share; the names of the embedded tokenizer's three special tokens; the template.
FAMILIES: dict[str, tuple[dict[str, Any], tuple[str, str, str], str]] = {
    "qwen2": (
        {"model_type": "qwen2", "num_hidden_layers": 2, "tie_word_embeddings": True},
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        IM,
    ),
    "qwen3": (
        {"model_type": "qwen3", "num_hidden_layers": 2, "head_dim": 16, "tie_word_embeddings": True},
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        IM,
    ),
    "llama3": (
        {"model_type": "llama", "num_hidden_layers": 2, "tie_word_embeddings": False, "bos_token_id": 1, "pad_token_id": None},
        ("<|reserved_special_token_0|>", "<|begin_of_text|>", "<|eot_id|>"),
        TURNS,
    ),
    "gemma3": (  # the sixth layer is the first that sees everything; the others see a window of 16
        {"model_type": "gemma3_text", "num_hidden_layers": 6, "head_dim": 16, "query_pre_attn_scalar": 16,
         "sliding_window": 16, "bos_token_id": 1},
        ("<pad>", "<bos>", "<end_of_turn>"),
        TURNS,
    ),
}  # fmt: skip


def write(folder: Path, family: str, seed: int = 0, **changes: Any) -> Path:
    """Write a folder of one family.

    Args:
        folder: made if it is not there.
        family: a key of ``FAMILIES``.
        seed: of the weights.
        changes: to the transformers config.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings, specials, template = FAMILIES[family]
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**(SHARED | settings | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # norms and biases: 0 or 1 would hide how they are applied
                parameter += 0.1 * torch.randn_like(parameter)
    model.float().save_pretrained(folder)
    text = (EMBEDDED / "tokenizer.json").read_text()
    for old, new in zip(("<|endoftext|>", "<|im_start|>", "<|im_end|>"), specials, strict=True):
        text = text.replace(old, new)
    (folder / "tokenizer.json").write_text(text)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": specials[2], "chat_template": template}
    if model.config.bos_token_id is not None:
        config["bos_token"] = specials[1]
    if model.config.pad_token_id is not None:
        config["pad_token"] = specials[0]
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="the folders are made in here")
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for family in args.family:
        folder = write(args.output / family, family, args.seed)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{folder}  {size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
