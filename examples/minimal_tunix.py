"""A Tunix script of your own with credit on the first error: your cluster, your batches, your reward and your oracle.

    python examples/minimal_tunix.py

In a script that trains with Tunix's GRPOLearner, three things change: the learner's class, its config's, and `oracle=`. Here
the policy in the package makes three updates on stories; offline, and under a minute on two CPU cores.
"""

import itertools

import numpy as np
import optax
from tunix.rl.rl_cluster import ClusterConfig, RLCluster, RLTrainingConfig, Role
from tunix.rl.rollout.base_rollout import RolloutConfig

from cal_grpo import Query, Tag, Verdict
from cal_grpo.engines.reading import render
from cal_grpo.engines.tunix import CALGRPOConfig, CALGRPOLearner
from cal_grpo.engines.tunix.models import load_policy, make_mesh
from cal_grpo.policies import EMBEDDED
from cal_grpo.tasks import stories

UPDATES, QUESTIONS, ANSWERS = 3, 4, 4


class FirstDifference:
    """An oracle: blames the first line that the reference solution does not have."""

    name, free = "first-difference", True

    async def locate(self, query: Query) -> Verdict:
        known = set(query.reference.splitlines())
        line = next((line for line in query.response.splitlines() if line.strip() and line not in known), None)
        return Verdict(Tag.FOUND, segment=line) if line else Verdict(Tag.ABSTAINED)


def reward(prompts, completions, answer, **columns) -> list[float]:
    """1 for a right answer behind its mark."""
    return [float(text.rpartition("#### ")[2].strip() == right) for text, right in zip(completions, answer, strict=True)]


def told(step, credited) -> None:
    """What became of an update's answers."""
    right = sum(judged.completion.grade.correct for judged in credited.judged)
    blamed = [judged.verdict.segment for judged in credited.judged if judged.verdict and judged.verdict.segment]
    print(f"update {step + 1}: {right} of {len(credited.judged)} right, {len(blamed)} blamed, such as {blamed[:1]}")


def main() -> None:
    mesh = make_mesh()
    policy = load_policy(EMBEDDED, mesh)  # any Hugging Face folder of a family that docs/engines.md lists
    rollout = RolloutConfig(
        max_prompt_length=128, max_tokens_to_generate=104, kv_cache_size=232, temperature=1.0, eos_tokens=list(policy.eos_ids)
    )
    training = RLTrainingConfig(
        actor_optimizer=optax.adam(2e-4), mini_batch_size=QUESTIONS, max_steps=UPDATES, eval_every_n_steps=UPDATES + 1
    )
    roles = dict.fromkeys((Role.ACTOR, Role.REFERENCE, Role.ROLLOUT), mesh)
    cluster = RLCluster(
        actor=policy.model,
        reference=policy.reference(),
        tokenizer=policy.tokenizer,
        cluster_config=ClusterConfig(role_to_mesh=roles, rollout_config=rollout, training_config=training),
    )
    asked = list(itertools.islice(stories(seed=0, steps=4, split="train"), UPDATES * QUESTIONS))
    columns = {
        "prompts": [render(example.question, policy.tokenizer) for example in asked],
        "question": [example.question for example in asked],
        "answer": [example.answer for example in asked],
        "reference": [example.reference for example in asked],
    }
    batches = [{name: np.array(texts[i : i + QUESTIONS]) for name, texts in columns.items()} for i in range(0, len(asked), 4)]
    config = CALGRPOConfig(num_generations=ANSWERS, credit="prefix", beta=0.02)
    CALGRPOLearner(cluster, config, [reward], oracle=FirstDifference(), on_credit=told).train(batches)


if __name__ == "__main__":
    main()
