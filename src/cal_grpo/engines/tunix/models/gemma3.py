"""Gemma 3, text only: what its config asks for beyond the other families, and how Tunix lays out its attention.

Layers see a sliding window, but every sixth sees everything, and the two kinds have their own RoPE bases; q and k are
normalised; norms multiply by 1 + weight; embeddings are scaled and always tied. Tunix's model does all of that; the
rest of what a config can ask for is refused (tunix 0.1.7, models/gemma3/model.py).
"""

import re
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from cal_grpo.engines.tunix.models.layout import Place, whole

HFConfig = Mapping[str, Any]

_PATTERN = 6  # Tunix's GEMMA3_ATTENTION_PATTERN: five layers with a window, then one without
_FUSED = {"q_einsum": "q", "kv_einsum": "kv", "qkv_einsum": "qkv"}


def build_config(hf: HFConfig, module: ModuleType) -> Any:
    """Tunix's ``ModelConfig``; absent fields mean what they mean in transformers."""
    by = module.QueryPreAttentionNormalisation
    rope = _rope(hf)
    return module.ModelConfig(
        num_layers=hf["num_hidden_layers"],
        num_embed=hf["vocab_size"],
        embed_dim=hf["hidden_size"],
        hidden_dim=hf["intermediate_size"],
        num_heads=hf["num_attention_heads"],
        head_dim=_head_dim(hf),
        num_kv_heads=hf["num_key_value_heads"],
        sliding_window_size=hf.get("sliding_window", 4096),
        local_base_frequency=rope["sliding_attention"]["rope_theta"],
        global_base_frequency=rope["full_attention"]["rope_theta"],
        global_scale_factor=rope["full_attention"].get("factor", 1.0),
        query_pre_attn_norm=by.BY_ONE_OVER_SQRT_HEAD_DIM
        if _query_scalar(hf) == _head_dim(hf)
        else by.BY_ONE_OVER_SQRT_EMBED_DIM_DIV_NUM_HEADS,
    )


def checks(hf: HFConfig) -> list[tuple[str, Any, str, bool]]:
    """(field, value, expected, fine) of every field that may ask for something that is not implemented."""
    per_head = hf["hidden_size"] // hf["num_attention_heads"]
    activation = hf.get("hidden_activation", "gelu_pytorch_tanh")
    period = hf.get("sliding_window_pattern", _PATTERN)
    kinds = ["full_attention" if (i + 1) % _PATTERN == 0 else "sliding_attention" for i in range(hf["num_hidden_layers"])]
    layers = hf.get("layer_types") or kinds
    rope = _rope(hf)
    local, everywhere = (rope[kind].get("rope_type", "default") for kind in ("sliding_attention", "full_attention"))
    eps = hf.get("rms_norm_eps", 1e-6)
    return [
        ("rope_scaling", everywhere, "default or linear", everywhere in ("default", "linear")),
        ("rope_parameters.sliding_attention", local, "default", local == "default"),
        ("hidden_activation", activation, "gelu_pytorch_tanh", activation == "gelu_pytorch_tanh"),
        ("rms_norm_eps", eps, "1e-06", eps == 1e-6),
        ("sliding_window_pattern", period, str(_PATTERN), period == _PATTERN),
        ("layer_types", layers, f"full_attention every {_PATTERN}th layer", layers == kinds),
        ("query_pre_attn_scalar", _query_scalar(hf), f"{_head_dim(hf)} or {per_head}",
         _query_scalar(hf) in (_head_dim(hf), per_head)),
        ("attn_logit_softcapping", hf.get("attn_logit_softcapping"), "null", hf.get("attn_logit_softcapping") is None),
        ("final_logit_softcapping", hf.get("final_logit_softcapping"), "null", hf.get("final_logit_softcapping") is None),
        ("tie_word_embeddings", False, "true", hf.get("tie_word_embeddings", True)),
        ("use_bidirectional_attention", True, "false", not hf.get("use_bidirectional_attention")),
        ("attention_bias", True, "false", not hf.get("attention_bias")),
    ]  # fmt: skip


def places(paths: Iterable[str]) -> dict[str, Place]:
    """Tunix stacks k and v, with as many key heads as heads q too; its key map calls the parts ``tmp.layers.N.attn.q``."""
    found: dict[str, Place] = {}
    for path in paths:
        match = re.fullmatch(r"(layers\.\d+\.attn)\.(q_einsum|kv_einsum|qkv_einsum)\.w", path)
        if match is None:
            found |= whole([path])
            continue
        letters = _FUSED[match[2]]
        for index, letter in enumerate(letters):
            part = None if len(letters) == 1 else index
            found[f"tmp.{match[1]}.{letter}"] = Place(path, part, axes=(1, 0, 2))  # heads first there, features first here
    return found


def _head_dim(hf: HFConfig) -> int:
    return int(hf.get("head_dim", 256))


def _query_scalar(hf: HFConfig) -> float:
    return float(hf.get("query_pre_attn_scalar", 256))


def _rope(hf: HFConfig) -> dict[str, dict[str, Any]]:
    """By kind of layer: nested in ``rope_parameters`` (transformers 5), flat fields in older folders."""
    nested = hf.get("rope_parameters") or {}
    return {
        "full_attention": {"rope_theta": hf.get("rope_theta", 1e6)}
        | (hf.get("rope_scaling") or {})
        | (nested.get("full_attention") or {}),
        "sliding_attention": {"rope_theta": hf.get("rope_local_base_freq", 1e4)} | (nested.get("sliding_attention") or {}),
    }
