"""Model families that the Tunix engine loads: from a Hugging Face ``config.json`` to a Tunix model config.

The family is read from ``model_type``, never guessed from a name. A config field that asks for something that Tunix's
model does not implement (RoPE scaling, other activations) is refused: ignoring it would train a different model from
the one in the folder without a word.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from cal_grpo.engines.tunix.models import gemma3
from cal_grpo.engines.tunix.models.layout import Place, whole
from cal_grpo.engines.tunix.models.quirks import use_rope_theta
from cal_grpo.errors import UsageError

HFConfig = Mapping[str, Any]
Check = tuple[str, Any, str, bool]

_SIZES = ("num_hidden_layers", "vocab_size", "hidden_size", "intermediate_size", "num_attention_heads")
_OPTIONAL_SIZES = ("num_key_value_heads", "head_dim")


@dataclass(frozen=True)
class Family:
    """How one family is built.

    Attributes:
        module: the Tunix package with ``model`` and a params module.
        params: name of the params module inside it.
        model_class: name of the model class.
        build_config: Hugging Face config and the model module to Tunix's ``ModelConfig``, without rematerialisation.
        checks: (field, value, expected, fine) of the config fields that may ask for what the model does not implement.
        places: the model's parameter paths to the place of each key of the key map.
    """

    module: str
    params: str
    model_class: str
    build_config: Callable[[HFConfig, ModuleType], Any]
    checks: Callable[[HFConfig], list[Check]]
    places: Callable[[Iterable[str]], dict[str, Place]] = whole

    def model_module(self) -> ModuleType:
        return importlib.import_module(f"{self.module}.model")

    def key_mapping(self, model_config: Any) -> dict[str, Any]:
        """Tunix's map from checkpoint names (regular expressions) to model paths and layout transforms."""
        params = importlib.import_module(f"{self.module}.{self.params}")
        mapping: dict[str, Any] = params._get_key_and_transform_mapping(model_config)
        return mapping

    def preprocess(self, model_config: Any) -> Callable[[Any], Any] | None:
        """What the loader does to the mapped tensors before they are the model's, if anything."""
        params = importlib.import_module(f"{self.module}.{self.params}")
        make = getattr(params, "_make_preprocess_fn", None)
        return None if make is None else make(model_config)


def _common(hf: HFConfig) -> dict[str, Any]:
    heads = hf["num_attention_heads"]
    return {
        "num_layers": hf["num_hidden_layers"],
        "vocab_size": hf["vocab_size"],
        "embed_dim": hf["hidden_size"],
        "hidden_dim": hf["intermediate_size"],
        "num_heads": heads,
        "head_dim": hf.get("head_dim") or hf["hidden_size"] // heads,
        "num_kv_heads": hf.get("num_key_value_heads") or heads,
        "rope_theta": rope_theta(hf),
        "norm_eps": hf.get("rms_norm_eps", 1e-6),
    }


def _qwen2(hf: HFConfig, module: ModuleType) -> Any:
    return module.ModelConfig(**_common(hf), use_tied_embedding=bool(hf.get("tie_word_embeddings", False)))


def _qwen3(hf: HFConfig, module: ModuleType) -> Any:
    use_rope_theta(module, rope_theta(hf))
    return _qwen2(hf, module)


def _llama(hf: HFConfig, module: ModuleType) -> Any:
    use_rope_theta(module, rope_theta(hf))
    return module.ModelConfig(**_common(hf), weight_tying=bool(hf.get("tie_word_embeddings", False)))


def _checks(hf: HFConfig, biased_attention: bool = False) -> list[Check]:
    """Of the families that share ``_common``. ``biased_attention``: the model has q/k/v biases, or has none."""
    scaling = hf.get("rope_scaling") or hf.get("rope_parameters") or {}
    rope_type = scaling.get("rope_type") or scaling.get("type") or "default"
    layer_types = set(hf.get("layer_types") or ()) - {"full_attention"}
    return [
        ("rope_scaling", rope_type, "default", rope_type == "default"),
        ("hidden_act", hf.get("hidden_act", "silu"), "silu", hf.get("hidden_act", "silu") == "silu"),
        ("use_sliding_window", True, "false", not hf.get("use_sliding_window")),
        ("layer_types", sorted(layer_types), "full_attention only", not layer_types),
        ("mlp_bias", True, "false", not hf.get("mlp_bias")),
        ("attention_bias", hf.get("attention_bias"), str(biased_attention).lower(),
         hf.get("attention_bias") in (None, biased_attention)),
    ]  # fmt: skip


def _biased_checks(hf: HFConfig) -> list[Check]:
    return _checks(hf, biased_attention=True)


_FAMILIES: dict[str, Family] = {
    "qwen2": Family("tunix.models.qwen2", "params", "Qwen2", _qwen2, _biased_checks),
    "qwen3": Family("tunix.models.qwen3", "params", "Qwen3", _qwen3, _checks),
    "llama": Family("tunix.models.llama3", "params", "Llama3", _llama, _checks),
    "gemma3_text": Family(
        "tunix.models.gemma3", "params_safetensors", "Gemma3", gemma3.build_config, gemma3.checks, gemma3.places
    ),
}


def family_of(hf: HFConfig, where: str) -> Family:
    """The family of a checkpoint.

    Raises:
        UsageError: unknown ``model_type``, a config field that the engine's model does not implement, or one that is
            missing or no size.
    """
    model_type = hf.get("model_type")
    if model_type not in _FAMILIES:
        raise UsageError(
            f"{where}: model_type is {model_type!r}; this engine trains {', '.join(sorted(_FAMILIES))}; "
            "choose a model of one of these families"
        )
    _check_sizes(hf, where)
    family = _FAMILIES[model_type]
    with reading(where):
        refused = [check for check in family.checks(hf) if not check[-1]]
    for field, value, expected, _ in refused:
        raise UsageError(
            f"{where}: config.json has {field}={value!r}, which Tunix's {model_type} does not implement "
            f"(expected {expected}); choose a checkpoint without it"
        )
    return family


@contextlib.contextmanager
def reading(where: str) -> Iterator[None]:
    """Make one line of what goes wrong while a config is read."""
    try:
        yield
    except KeyError as e:
        raise UsageError(f"{where}: config.json: field {e} is missing; expected a complete config") from e
    except (TypeError, ValueError, AttributeError) as e:
        raise UsageError(f"{where}: config.json: a field is of another kind than expected ({e}); download it again") from e


def _check_sizes(hf: HFConfig, where: str) -> None:
    for field in _SIZES + tuple(field for field in _OPTIONAL_SIZES if hf.get(field) is not None):
        if field not in hf:
            raise UsageError(f"{where}: config.json: field {field!r} is missing; expected a complete config")
        if type(hf[field]) is not int or hf[field] < 1:
            raise UsageError(f"{where}: config.json has {field}={hf[field]!r}; expected a whole number above 0")
    heads, key_heads = hf["num_attention_heads"], hf.get("num_key_value_heads") or hf["num_attention_heads"]
    if heads % key_heads:
        raise UsageError(f"{where}: config.json has num_key_value_heads={key_heads}; expected a divisor of {heads} heads")


def rope_theta(hf: HFConfig) -> float:
    """RoPE's base: ``rope_parameters.rope_theta`` (transformers 5) or ``rope_theta`` (older folders)."""
    parameters = hf.get("rope_parameters") or {}
    return float(parameters.get("rope_theta") or hf.get("rope_theta") or 10_000.0)
