"""The small fast engine against Tunix: the same log-probs, the same greedy answers, the same update."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tunix.rl.common import compute_per_token_logps

from cal_grpo.config import TrainConfig
from cal_grpo.engines.reading import batches, fitting, render
from cal_grpo.engines.tunix import CALGRPOConfig, CALGRPOLearner
from cal_grpo.engines.tunix.models.checkpoint import load_policy
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.engines.tunix.training.cluster import adam, build_cluster
from cal_grpo.oracles import Tag, Verdict
from cal_grpo.tasks.ledger import stories
from study.simulator import Learner, LossSettings, Prompts, Rollouts, Sampler, from_tunix, pad_prompts
from study.simulator.forward import completion_logits
from study.simulator.sample import _draw, stream

GROUP = 4


@pytest.fixture
def policy(toy_folder):
    return load_policy(toy_folder, make_mesh())


@pytest.fixture
def small(policy):
    """(shape, params) of the policy."""
    return from_tunix(policy.model)


def test_prompts_are_padded_on_the_left():
    prompts = pad_prompts([[7, 8], [9]], length=3, pad_id=0)
    np.testing.assert_array_equal(prompts.ids_QP, [[0, 7, 8], [0, 0, 9]])
    np.testing.assert_array_equal(prompts.mask_QP, [[False, True, True], [False, False, True]])
    with pytest.raises(ValueError, match="prompt 0 has 4 tokens; expected at most 3"):
        pad_prompts([[1, 2, 3, 4]], length=3, pad_id=0)


def logps_of(small, prompts, ids_BT):
    shape, params = small
    logits_BTV = jax.jit(completion_logits, static_argnums=1)(params, shape, prompts.ids_QP, prompts.mask_QP, ids_BT)
    return np.take_along_axis(np.asarray(jax.nn.log_softmax(logits_BTV)), ids_BT[..., None], axis=-1)[..., 0]


def test_log_probs_equal_those_of_one_pass_over_prompt_and_answer(policy, small):
    rng = np.random.default_rng(0)
    prompts = pad_prompts([rng.integers(5, 200, n).tolist() for n in (6, 9)], 9, pad_id=0)
    ids_BT = rng.integers(5, 200, (2 * GROUP, 7)).astype(np.int32)
    ours_BT = logps_of(small, prompts, ids_BT)
    theirs_BT = compute_per_token_logps(
        *nnx.split(policy.model), np.repeat(prompts.ids_QP, GROUP, axis=0), ids_BT, pad_id=0, eos_id=2
    )
    np.testing.assert_allclose(ours_BT, theirs_BT, atol=2e-5)


def test_samples_are_reproducible_and_their_log_probs_are_the_policys(small):
    prompts = pad_prompts([[5, 6, 7], [8, 9]], 4, pad_id=0)
    shape, params = small
    sampler = Sampler(shape, max_tokens=12, eos_id=2, pad_id=0)
    first, again, other = (sampler(params, prompts, stream(0, seed), GROUP) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.ids_BT, again.ids_BT)
    assert not np.array_equal(first.ids_BT, other.ids_BT)
    logps_BT = logps_of(small, prompts, first.ids_BT)
    inside_BT = np.arange(12) < first.lengths_B[:, None]
    np.testing.assert_allclose(first.logprobs_BT[inside_BT], logps_BT[inside_BT], atol=2e-5)


def test_draws_follow_the_distribution():
    # 40 tokens (not a multiple of the sum's blocks) with known probabilities; 20,000 draws.
    probabilities_V = np.linspace(0, 2, 40) / 40
    logits_BV = np.tile(np.log(np.maximum(probabilities_V, 1e-30)), (20_000, 1)).astype(np.float32)
    ids_B, logprobs_B = (np.asarray(a) for a in _draw(jnp.asarray(logits_BV), stream(5), 1.0))
    shares_V = np.bincount(ids_B, minlength=40) / 20_000
    assert shares_V[0] == 0
    np.testing.assert_allclose(shares_V, probabilities_V, atol=5 * np.sqrt(0.05 / 20_000))
    np.testing.assert_allclose(np.exp(logprobs_B), probabilities_V[ids_B], rtol=1e-4)


def test_an_answer_ends_at_its_first_end_of_text(small):
    # A policy that is made to end: the end-of-text token is by far the likeliest after the first draw or two.
    shape, params = small
    params = params | {"embedding": params["embedding"].at[2].multiply(40.0)}
    sampler = Sampler(shape, max_tokens=20, eos_id=2, pad_id=0)
    rollouts = sampler(params, pad_prompts([[5, 6, 7]] * 4, 4, pad_id=0), stream(3), 8)
    assert (rollouts.lengths_B < 20).any()
    for ids_T, length, ended in zip(rollouts.ids_BT, rollouts.lengths_B, rollouts.ended_B, strict=True):
        assert not (ids_T[:length] == 2).any()
        assert (ids_T[length : length + 1] == 2).all() if ended else length == 20
        assert not ids_T[length + 1 :].any()


class BlamesStarts:
    name = "blames-starts"

    async def locate(self, query):
        segment = query.response[:5]
        return Verdict(Tag.FOUND, segment=segment) if segment.strip() else Verdict(Tag.ABSTAINED)


def test_one_update_equals_tunix_own(toy_folder):
    config = TrainConfig.model_validate(
        {"batch_size": 2, "num_generations": GROUP, "num_train_steps": 1, "learning_rate": 1e-2, "beta": 0.05,
         "rollout": {"max_prompt_tokens": 96, "max_new_tokens": 24}}
    )  # fmt: skip
    policy, untouched = load_policy(toy_folder, make_mesh()), load_policy(toy_folder, make_mesh())
    cluster = build_cluster(config, policy, make_mesh(), None)
    seen = []
    update = cluster.update_actor
    cluster.update_actor = lambda train, *rest: (seen.extend(train), update(train, *rest))
    examples = list(itertools.islice(stories(seed=0, steps=2, split="train"), 4))
    pairs, _ = fitting(examples, policy.tokenizer, 96, "training")
    settings = CALGRPOConfig(num_generations=GROUP, beta=0.05, credit="prefix")
    CALGRPOLearner(cluster, settings, oracle=BlamesStarts()).train(batches(pairs, 2, seed=0))
    (example,) = seen

    shape, params = from_tunix(untouched.model)
    # The learning rate as a factor, as a study has it.
    optimizer = adam(config.model_copy(update={"learning_rate": 1.0}))
    learner = Learner(params, shape, optimizer, LossSettings(beta=0.05), config.learning_rate)
    prompts = Prompts(np.asarray(example.prompt_ids)[::GROUP], np.asarray(example.prompt_mask)[::GROUP])
    lengths_B = np.asarray(example.completion_mask).sum(axis=1)  # the end tokens are in it
    nowhere_B = np.zeros(len(lengths_B), bool)
    rollouts = Rollouts(np.asarray(example.completion_ids), lengths_B, np.zeros(example.completion_ids.shape), nowhere_B)
    numbers = learner.update(prompts, rollouts, np.asarray(example.advantages))
    assert numbers["grad_norm"] > 0
    _, theirs = from_tunix(cluster.actor_trainer.model)
    for (path, ours), value in zip(jax.tree.leaves_with_path(learner.params), jax.tree.leaves(theirs), strict=True):
        # Adam's first update is the learning rate times the gradient's sign, which rounding flips where it is nearly 0.
        close = np.isclose(ours, value, atol=5e-4)
        assert close.mean() > 0.999, path


def test_greedy_answers_equal_tunix_own(toy_folder):
    config = TrainConfig.model_validate(
        {"batch_size": 2, "num_train_steps": 1, "rollout": {"max_prompt_tokens": 64, "max_new_tokens": 16}}
    )
    policy = load_policy(toy_folder, make_mesh())
    tokenizer = policy.tokenizer
    prompts = [render(e.question, tokenizer) for e in itertools.islice(stories(seed=0, steps=1, split="train"), 4)]
    padded = pad_prompts([tokenizer.encode(p) for p in prompts], 64, tokenizer.pad_token_id)
    shape, params = from_tunix(policy.model)
    sampler = Sampler(shape, 16, tokenizer.eos_token_id, tokenizer.pad_token_id)
    ours = sampler(params, padded, stream(0), 1, temperature=0.0)
    cluster = build_cluster(config, policy, make_mesh(), None)
    greedy = dataclasses.replace(cluster.cluster_config.rollout_config, top_p=None, top_k=None, temperature=0.0, seed=0)
    theirs = cluster.rollout.generate(prompts, greedy).tokens
    for ids_T, length, other_T in zip(ours.ids_BT, ours.lengths_B, theirs, strict=True):
        np.testing.assert_array_equal(ids_T[:length], np.asarray(other_T))
