"""Held-out accuracy of a policy, by greedy decoding through the engine's own rollout."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cal_grpo.grading import Grade, grade_answer
from cal_grpo.tasks.types import Example


def answers(
    rl_cluster: Any, pairs: Sequence[tuple[str, Example]], batch_size: int, on_done: Callable[[int], None] | None = None
) -> Iterator[tuple[Example, str, Grade]]:
    """Each example with the policy's greedy answer and its grade. No oracle is asked.

    The last batch is filled up with repeats, so that one shape is compiled and the mesh divides it.
    """
    role = type(next(iter(rl_cluster.cluster_config.role_to_mesh)))
    # top_p None is how Tunix's sampler is told to be greedy (tunix 0.1.7, generate/sampler.py, init_sample_state)
    greedy = dataclasses.replace(rl_cluster.cluster_config.rollout_config, top_p=None, top_k=None, temperature=0.0, seed=0)
    mesh = rl_cluster.cluster_config.role_to_mesh[role.ROLLOUT]
    shards = mesh.shape.get("fsdp", 1)
    batch_size = -(-min(batch_size, len(pairs)) // shards) * shards
    for start in range(0, len(pairs), batch_size or 1):
        chunk = pairs[start : start + batch_size]
        prompts = [prompt for prompt, _ in chunk]
        padded = (prompts * batch_size)[:batch_size] if len(prompts) < batch_size else prompts
        with mesh:
            texts = rl_cluster.rollout.generate(padded, greedy).text
        for (_, example), text in zip(chunk, texts, strict=False):
            yield example, text, grade_answer(text, example.answer)
        if on_done is not None:
            on_done(min(start + batch_size, len(pairs)))
