"""Log-probs by chunks: Tunix's loss and gradients for every family, in less memory, and Tunix's own where logits are small."""

import itertools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_models
from _corrects import Corrects
from flax import nnx
from tunix.rl import algo_core, common
from tunix.rl.grpo.grpo_learner import TrainExample

from cal_grpo.config import LoraSection, TrainConfig
from cal_grpo.engines.reading import batches, fitting
from cal_grpo.engines.tunix import CALGRPOLearner
from cal_grpo.engines.tunix.engine import algorithm
from cal_grpo.engines.tunix.models import load_policy, make_mesh, with_lora
from cal_grpo.engines.tunix.training import build_cluster, cluster, logps
from cal_grpo.tasks import stories

B, P, T, V = 3, 5, 17, 1024
PAD, END = 0, 1
SETTINGS = types.SimpleNamespace(
    beta=0.1, epsilon=0.2, loss_algo="grpo", loss_agg_mode="token-mean", temperature=0.7, kl_loss_mode="low_var_kl",
    kl_clamp_value=None,
)  # fmt: skip
FIVE_TOKENS = 4 * B * V * 5  # bytes: 17 tokens make four chunks, the last of two


@pytest.fixture
def example():
    rng = np.random.default_rng(0)
    ids_BT, lengths_B = rng.integers(2, V, (B, T)), np.array([T, 4, 11])
    mask_BT = np.arange(T) < lengths_B[:, None]
    noise = [jnp.asarray(rng.normal(size=(B, T)), jnp.float32) for _ in range(3)]
    return TrainExample(
        prompt_ids=jnp.asarray(np.pad(rng.integers(2, V, (B, P - 1)), ((0, 0), (1, 0)))),
        prompt_mask=None, completion_ids=jnp.asarray(ids_BT * mask_BT), completion_mask=jnp.asarray(mask_BT),
        advantages=noise[0], ref_per_token_logps=-7 + noise[1] / 4, old_per_token_logps=-7 + noise[2] / 4,
    )  # fmt: skip


def of(loss_fn, model, example):
    """Loss, what is logged with it, and the gradient of what is trained."""
    kind = nnx.LoRAParam if jax.tree.leaves(nnx.state(model, nnx.LoRAParam)) else nnx.Param

    def loss(model, example):
        return loss_fn(model, example, algo_config=SETTINGS, pad_id=PAD, eos_id=END)

    (value, aux), gradient = nnx.jit(nnx.value_and_grad(loss, argnums=nnx.DiffState(0, kind), has_aux=True))(model, example)
    return value, aux, {str(path): leaf for path, leaf in jax.tree.leaves_with_path(gradient)}


@pytest.mark.parametrize(
    ("family", "changes", "rank", "remat", "by_rows"),
    [
        ("qwen2", {}, None, True, True),
        ("qwen2", {"tie_word_embeddings": False}, 2, False, False),
        ("qwen3", {"tie_word_embeddings": False}, None, False, True),
        ("llama3", {"tie_word_embeddings": False}, None, True, False),
        ("llama3", {"tie_word_embeddings": True}, 2, False, True),
        ("gemma3", {}, 2, False, True),
    ],
)
def test_the_loss_and_its_gradient_are_tunixs(tmp_path, monkeypatch, example, family, changes, rank, remat, by_rows):
    policy = load_policy(tiny_models.write(tmp_path / family, family, **changes), make_mesh(), remat=remat)
    monkeypatch.setattr(logps, "_by_rows", lambda: by_rows)
    if rank:
        policy = with_lora(policy, LoraSection(rank=rank), 0, make_mesh())
    expected, logged, expected_gradient = of(algo_core.grpo_loss_fn, policy.model, example)
    theirs_BT = common.compute_per_token_logps(
        *nnx.split(policy.model), example.prompt_ids, example.completion_ids, PAD, END, temperature=0.7
    )
    monkeypatch.setattr(logps, "LIMIT", FIVE_TOKENS)
    value, aux, gradient = of(logps.in_chunks(algo_core.grpo_loss_fn), policy.model, example)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert aux.keys() == logged.keys()
    for name in logged:
        np.testing.assert_allclose(aux[name], logged[name], atol=1e-5, rtol=1e-5, err_msg=name)
    assert gradient.keys() == expected_gradient.keys()
    assert max(np.abs(leaf).max() for leaf in expected_gradient.values()) > 1e-3
    for path, leaf in expected_gradient.items():
        np.testing.assert_allclose(gradient[path], leaf, atol=1e-5, err_msg=path)
    ours_BT = logps.per_token_logps(
        *nnx.split(policy.model), example.prompt_ids, example.completion_ids, PAD, END, temperature=0.7
    )
    np.testing.assert_allclose(ours_BT, theirs_BT, atol=1e-5)


def test_small_logits_are_tunixs_bit_for_bit(tmp_path, example):
    model = load_policy(tiny_models.write(tmp_path / "qwen2", "qwen2"), make_mesh()).model
    theirs, ours = (of(fn, model, example) for fn in (algo_core.grpo_loss_fn, logps.in_chunks(algo_core.grpo_loss_fn)))
    for a, b in zip(jax.tree.leaves(theirs), jax.tree.leaves(ours), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_or_a_model_that_is_not_known_is_left_as_it_is(monkeypatch, example):
    def another(model, train_example, **_):
        return jnp.zeros(()), {}

    monkeypatch.setattr(logps, "LIMIT", 1)
    assert logps.in_chunks(another) is another
    assert logps.chunk_size(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), example.prompt_ids, example.completion_ids) is None


def test_tunixs_loss_has_the_names_that_are_replaced_in_it():
    assert {"common", "compute_entropy_from_logits"} <= set(algo_core.grpo_loss_fn.__code__.co_names)


def test_the_largest_memory_of_an_update_falls_to_less_than_a_third(tmp_path, monkeypatch):
    rows, prompt, length, vocabulary = 4, 8, 128, 8192
    model = load_policy(tiny_models.write(tmp_path / "qwen2", "qwen2"), make_mesh()).model
    graph, state = nnx.split(model)
    # Shapes are enough to compile: a vocabulary that the folder does not have.
    wide = {"embedder": (vocabulary, model.config.embed_dim)}
    state = jax.tree.map_with_path(
        lambda path, x: jax.ShapeDtypeStruct(wide.get(getattr(path[0], "key", ""), x.shape), x.dtype), state
    )
    ids = (jnp.zeros((rows, prompt), int), jnp.ones((rows, length), int))
    batch = TrainExample(ids[0], None, ids[1], ids[1], jnp.ones((rows, length)), jnp.ones((rows, length)), None)

    def bytes_of(loss_fn):
        def gradient(state, batch):
            def loss(state):
                return loss_fn(nnx.merge(graph, state), batch, algo_config=SETTINGS, pad_id=PAD, eos_id=END)[0]

            return jax.grad(loss)(state)

        return jax.jit(gradient).lower(state, batch).compile().memory_analysis().temp_size_in_bytes

    monkeypatch.setattr(logps, "LIMIT", 4 * rows * length * vocabulary // 8)
    assert 3 * bytes_of(logps.in_chunks(algo_core.grpo_loss_fn)) < bytes_of(algo_core.grpo_loss_fn)


def changes_of(folder, monkeypatch, **changes):
    """By how much each parameter changes in an update of plain descent at a rate of 1."""
    monkeypatch.setattr(cluster, "adam", lambda config: optax.sgd(1.0))
    defaults = {"num_train_steps": 1, "rollout": {"max_prompt_tokens": 96, "max_new_tokens": 24}, "batch_size": 2,
                "num_generations": 2}  # fmt: skip
    config = TrainConfig.model_validate(defaults | changes)
    policy = load_policy(folder, make_mesh())
    pairs, _ = fitting(list(itertools.islice(stories(seed=0, steps=2, split="train"), 8)), policy.tokenizer, 96, "training")
    engine = build_cluster(config, policy, make_mesh(), None)
    settings = algorithm(config, config.credit)
    settings.num_iterations = 2
    asked = []
    for owner, name in ((engine.inference_worker, "get_ref_per_token_logps"), (engine.rollout, "get_per_token_logps")):
        monkeypatch.setattr(type(owner), name, lambda *_, name=name, **__: asked.append(name))
    learner = CALGRPOLearner(engine, settings, oracle=Corrects())

    def parameters():
        state = nnx.state(engine.actor_trainer.model, nnx.Param).to_pure_dict()
        return {str(path): np.array(leaf) for path, leaf in jax.tree.leaves_with_path(state)}

    before = parameters()
    learner.train(itertools.islice(batches(pairs, config.batch_size, seed=0), 1))
    assert not asked
    return {name: after - before[name] for name, after in parameters().items()}


def test_an_update_with_all_its_passes_changes_the_policy_as_without_chunks(toy_folder, monkeypatch):
    """The reference's log-probs, the old ones, the loss and the corrections."""
    settings = {"beta": 0.1, "corrections": "rest"}
    expected = changes_of(toy_folder, monkeypatch, **settings)
    monkeypatch.setattr(logps, "LIMIT", 2**14)
    changed = changes_of(toy_folder, monkeypatch, **settings)
    assert max(np.abs(change).max() for change in expected.values()) > 1e-3
    for name, change in expected.items():
        np.testing.assert_allclose(changed[name], change, atol=1e-5, rtol=1e-5, err_msg=name)
