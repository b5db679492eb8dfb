"""Answers of a policy to held-out questions, greedy and sampled, through the engine's own rollout. No oracle is asked."""

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from tunix.rl.rollout.base_rollout import CacheConfig, RolloutConfig
from tunix.rl.rollout.vanilla_rollout import VanillaRollout

from cal_grpo.engines import Answer, Answers
from cal_grpo.engines.tunix.models import Policy, read_prompts_as_rendered
from cal_grpo.tasks import Example, Grader, grade_by_answer, graded


def rollout_of(policy: Policy, settings: RolloutConfig) -> VanillaRollout:
    """A rollout worker for a policy that is not trained: no optimizer, no reference policy."""
    shape = policy.model.config
    cache = CacheConfig(settings.kv_cache_size, shape.num_layers, shape.num_kv_heads, shape.head_dim)
    rollout = VanillaRollout(policy.model, policy.tokenizer, cache)
    read_prompts_as_rendered(rollout._sampler, policy.tokenizer)
    return rollout


def answers(
    rollout: Any,
    mesh: jax.sharding.Mesh,
    settings: RolloutConfig,
    pairs: Sequence[tuple[str, Example]],
    batch_size: int,
    *,
    grade: Grader = grade_by_answer,
    samples: int = 0,
    seed: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> Iterator[list[Answers]]:
    """Graded answers to (prompt, example) pairs, ``batch_size`` questions at a time.

    Args:
        rollout: Tunix's rollout worker.
        mesh: its devices.
        settings: how answers are sampled; greedy ones take its lengths and stop tokens.
        pairs: the questions.
        batch_size: rows of one call.
        grade: the task's grader.
        samples: sampled answers a question, beside the greedy one.
        seed: of the samples' noise. A call draws from the stream ``eval/SEED/QUESTION/CALL``, so the samples depend on
            the batch size too.
        on_done: called with the answers generated so far.
    """
    # top_p None is how Tunix's sampler is told to be greedy (tunix 0.1.7, generate/sampler.py, init_sample_state)
    greedy = dataclasses.replace(settings, top_p=None, top_k=None, temperature=0.0, seed=0)
    shards = mesh.shape.get("fsdp", 1)
    done = 0

    ends = frozenset(settings.eos_tokens or ())

    def generate(prompts: list[str], how: RolloutConfig, of: int, noise: str | None = None) -> list[tuple[str, bool]]:
        """(text, whether it was cut off) of each answer."""
        nonlocal done
        rows = -(-min(batch_size, of) // shards) * shards
        given: list[tuple[str, bool]] = []
        for call, start in enumerate(range(0, len(prompts), rows)):
            batch = prompts[start : start + rows]
            if noise is not None:
                how = dataclasses.replace(how, seed=random.Random(f"{noise}/{call}").getrandbits(31))
            with mesh:
                # The last batch is filled up with repeats, so that one shape is compiled and the mesh divides it.
                output = rollout.generate((batch * rows)[:rows], how)
            cut = [len(ids) >= settings.max_tokens_to_generate and int(ids[-1]) not in ends for ids in output.tokens]
            given += list(zip(output.text, cut, strict=True))[: len(batch)]
            done += len(batch)
            if on_done is not None:
                on_done(done)
        return given

    for start in range(0, len(pairs), batch_size):
        chunk = pairs[start : start + batch_size]
        prompts = [prompt for prompt, _ in chunk]
        best = generate(prompts, greedy, of=len(pairs))
        repeated = [prompt for prompt in prompts for _ in range(samples)]
        sampled = generate(repeated, settings, of=len(pairs) * samples, noise=f"eval/{seed}/{start}") if samples else []
        yield [
            Answers(
                example,
                Answer(best[i][0], graded(grade, best[i][0], example), best[i][1]),
                [Answer(text, graded(grade, text, example), cut) for text, cut in sampled[i * samples : (i + 1) * samples]],
            )
            for i, (_, example) in enumerate(chunk)
        ]
