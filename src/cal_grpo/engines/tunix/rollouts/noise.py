"""Fresh, reproducible noise for every rollout."""

import dataclasses
from typing import Any

import jax


def seed_rollouts(rl_cluster: Any, seed: int) -> None:
    """Make each training rollout of a cluster draw its own noise from the stream ``(seed, step, call)``.

    Tunix's vanilla rollout samples with ``PRNGKey(0)`` whenever ``rollout_config.seed`` is None (tunix 0.1.7,
    generate/sampler.py, ``Sampler.__call__``), so every step and every micro-batch would reuse the same noise. A call
    that brings its own seed, as evaluation does, is left alone. Keyed by step and not by a running count, so that a
    resumed run draws what the uninterrupted one would have drawn.
    """
    rollout = rl_cluster.rollout
    generate = rollout.generate
    key = jax.random.key_data(jax.random.key(seed))
    last_step, calls = -1, 0

    def seeded_generate(prompts: Any, rollout_config: Any, **kwargs: Any) -> Any:
        nonlocal last_step, calls
        if rollout_config.seed is None:
            step = rl_cluster.global_steps
            last_step, calls = step, calls + 1 if step == last_step else 0
            noise = jax.random.fold_in(jax.random.fold_in(key, step), calls)
            rollout_config = dataclasses.replace(rollout_config, seed=noise)
        return generate(prompts, rollout_config, **kwargs)

    rollout.generate = seeded_generate
