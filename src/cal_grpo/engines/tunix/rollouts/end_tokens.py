"""The token that ended an answer, given back to the ids that are trained on."""

import dataclasses
import warnings
from typing import Any

import numpy as np


def end_ids(rl_cluster: Any) -> frozenset[int]:
    """The ids that end an answer of a cluster's rollouts."""
    config = rl_cluster.cluster_config.rollout_config
    configs = config.values() if isinstance(config, dict) else (config,)
    return frozenset(int(i) for one in configs for i in one.eos_tokens or (rl_cluster.rollout.eos_id(),))


def keep_end_tokens(rl_cluster: Any) -> bool:
    """Make a cluster's rollouts bring the end token that was drawn, as the last of the ids of each answer that ended.

    Tunix's vanilla rollout cuts it off (tunix 0.1.7, generate/sampler.py, ``Sampler.__call__``, from where the buffer of all
    sampled ids is taken here), so that stopping gets no gradient. The text stays without it. Rollouts on vLLM and SGLang
    bring it by themselves.

    Returns:
        Whether answers have it now. Not where the tokenizer pads with it: Tunix's masks take it for padding.
    """
    ends = end_ids(rl_cluster)
    if rl_cluster.rollout.pad_id() in ends:
        warnings.warn(
            "the tokenizer pads with the end token and has no other special token that is free, so the end token is not "
            "trained; add a pad token to it",
            stacklevel=2,
        )
        return False
    rollout = rl_cluster.rollout
    sampler = getattr(rollout, "_sampler", None)
    decode = getattr(sampler, "_compiled_decode_fn", None)
    if sampler is None or decode is None:
        return True
    buffers: list[Any] = []

    def decode_and_remember(*args: Any, **kwargs: Any) -> Any:
        state = decode(*args, **kwargs)
        buffers[:] = [state.token_buffer]
        return state

    sampler._compiled_decode_fn = decode_and_remember
    generate = rollout.generate

    def generate_with_ends(*args: Any, **kwargs: Any) -> Any:
        output = generate(*args, **kwargs)
        sampled_BT = np.asarray(buffers.pop())[:, output.left_padded_prompt_tokens.shape[1] :]
        return dataclasses.replace(output, tokens=[_ended(*row, ends) for row in zip(output.tokens, sampled_BT, strict=True)])

    rollout.generate = generate_with_ends
    return True


def _ended(tokens_T: Any, sampled_T: np.ndarray, ends: frozenset[int]) -> np.ndarray:
    """An answer's ids with the end token that was drawn behind them, if one was."""
    length = len(tokens_T)
    drawn = sampled_T[length : length + 1]
    return np.append(tokens_T, drawn) if len(drawn) and int(drawn[0]) in ends else np.asarray(tokens_T)
