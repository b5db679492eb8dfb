"""How much memory does a training take at least? Said of a model on this machine before it is loaded."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from cal_grpo.config import TrainConfig

_BYTES = 4  # float32, as both engines keep what is trained
_ADAM = 2  # moments, each as large as what is trained


class Footprint(NamedTuple):
    """Bytes that are in memory at once, on all devices together.

    Attributes:
        states: weights, reference policy, gradients with their sum over micro-batches, and Adam's moments.
        logits: of the largest forward pass of the training, and their gradient.
    """

    states: int
    logits: int


def footprint(config: TrainConfig, shapes: Mapping[str, tuple[int, ...]]) -> Footprint:
    """What a training with these settings keeps at least; activations and the libraries come on top.

    Args:
        config: with the task's lengths (``TrainConfig.fitted``).
        shapes: of the model's tensors by name, linear layers as (out, in), the embedding as (vocabulary, features).
    """
    weights = sum(map(math.prod, shapes.values()))
    trained = weights
    if config.lora.rank:
        adapted = [
            shape for name, shape in shapes.items() if name.split(".")[-2:-1] and name.split(".")[-2] in config.lora.modules
        ]
        trained = config.lora.rank * sum(sum(shape) for shape in adapted if len(shape) == 2)
        weights += trained
    reference = 0 if config.lora.rank or config.beta == 0 else weights
    questions = config.micro_batch_size or config.batch_size
    gradients = trained * (2 if questions < config.batch_size else 1)
    vocabulary = next((shape[0] for name, shape in shapes.items() if name.endswith("embed_tokens.weight")), 0)
    tokens = (config.rollout.max_prompt_tokens or 0) + (config.rollout.max_new_tokens or 0)
    logits = 2 * questions * config.num_generations * tokens * vocabulary
    return Footprint(_BYTES * (weights + reference + gradients + _ADAM * trained), _BYTES * logits)
