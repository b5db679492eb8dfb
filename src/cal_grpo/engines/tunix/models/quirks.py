"""Where Tunix's model modules need a hand. Each function changes a module for the whole process, once, and says why."""

import functools
import inspect
from types import ModuleType
from typing import Any

import numpy as np

from cal_grpo.engines.reading import prompt_ids
from cal_grpo.errors import UsageError


def use_rope_theta(module: ModuleType, theta: float) -> None:
    """Make a model module use the checkpoint's RoPE base.

    llama3 and qwen3 store ``rope_theta`` in their config but call ``apply_rope`` without it, so that every such model
    runs with 1e6 (tunix 0.1.7, models/llama3/model.py:352, models/qwen3/model.py:501).

    Raises:
        UsageError: a model of the family with another base is already loaded: the function is the module's.
    """
    current = getattr(module.apply_rope, "keywords", {}).get("rope_theta")
    if current is None:
        module.apply_rope = functools.partial(module.apply_rope, rope_theta=theta)  # type: ignore[attr-defined]
    elif current != theta:
        raise UsageError(
            f"a {module.__name__.split('.')[-2]} with rope_theta={current:g} is loaded in this process, and another with "
            f"{theta:g} was asked for; use a process for each"
        )


def recompute_in_training_only(module: ModuleType) -> None:
    """Keep rematerialisation out of sampling, where there is nothing to save.

    A layer asked to recompute does so in the sampler's while loop too, and flax refuses to rebuild a module in there:
    "Cannot mutate Param from a different trace level" (tunix 0.1.7, models/*/model.py, ``DecoderLayer.__call__``; flax
    0.12.8). A layer with a cache is sampling.
    """
    layer: Any = module.DecoderLayer
    original = layer.__call__
    if hasattr(original, "__wrapped__"):
        return
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        sampling = signature.bind(self, *args, **kwargs).arguments.get("cache") is not None
        return (self.block if sampling else functools.partial(original, self))(*args, **kwargs)

    layer.__call__ = call


def read_prompts_as_rendered(sampler: Any, tokenizer: Any) -> None:
    """Make Tunix's sampler read prompts as ``prompt_ids`` does.

    By itself it puts a BOS token in front whenever the tokenizer has one, wanted or not (tunix 0.1.7, generate/sampler.py,
    ``Sampler.tokenize``).
    """
    sampler.tokenize = lambda prompt: np.array(prompt_ids(prompt, tokenizer), dtype=np.int32)
