"""Corrections beside Tunix's loss: their gradient, in any micro-batches, with LoRA, and none where none are learned."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from _corrects import Corrects
from flax import nnx
from tunix.rl.common import compute_per_token_logps

from cal_grpo.config import TrainConfig
from cal_grpo.credit import Formula
from cal_grpo.engines.reading import batches, fitting
from cal_grpo.engines.tunix import CALGRPOConfig, CALGRPOLearner
from cal_grpo.engines.tunix.engine import algorithm
from cal_grpo.engines.tunix.models import load_policy, with_lora
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.engines.tunix.training import RowBackend, build_cluster, cluster, emit_before_checkpoints
from cal_grpo.engines.tunix.training.corrections import with_corrections
from cal_grpo.errors import UsageError
from cal_grpo.tasks import stories

C, T = 0.7, 24
NOTHING = Formula("nothing", lambda batch, weights: np.zeros((len(batch.spans), batch.width), np.float32), True)


class Trained:
    """An update of plain descent at a rate of 1, so that the change of a parameter is its gradient."""

    def __init__(self, folder, monkeypatch, credit=NOTHING, **changes):
        monkeypatch.setattr(cluster, "adam", lambda config: optax.sgd(1.0))
        defaults = {
            "num_train_steps": 1, "beta": 0.0, "rollout": {"max_prompt_tokens": 96, "max_new_tokens": T}, "batch_size": 4,
            "num_generations": 2, "correction_weight": C,
        }  # fmt: skip
        config = TrainConfig.model_validate(defaults | changes)
        policy = load_policy(folder, make_mesh())
        if config.lora.rank:
            policy = with_lora(policy, config.lora, 0, make_mesh())
        pairs, _ = fitting(list(itertools.islice(stories(seed=0, steps=2, split="train"), 8)), policy.tokenizer, 96, "training")
        self.rows, self.parts, self.seen = [], [], []
        rows = RowBackend(self.rows.append)
        engine = build_cluster(config, policy, make_mesh(), None, rows)
        emit_before_checkpoints(engine, rows)
        update = engine.update_actor
        engine.update_actor = lambda train_ds, *a: (self.seen.extend(train_ds), update(self.seen[-1:], *a))[1]
        learner = CALGRPOLearner(
            engine, algorithm(config, credit), oracle=Corrects(), on_credit=lambda _, part: self.parts.append(part)
        )
        self.pad, self.end = engine.rollout.pad_id(), engine.rollout.eos_id()
        self.before = self._parameters(engine)
        learner.train(itertools.islice(batches(pairs, config.batch_size, seed=0), 1))
        self.gradient = {name: self.before[name] - after for name, after in self._parameters(engine).items()}

    @staticmethod
    def _parameters(engine):
        state = nnx.state(engine.actor_trainer.model, nnx.Param)
        return {str(path): np.array(leaf) for path, leaf in jax.tree.leaves_with_path(state.to_pure_dict())}

    @property
    def corrections(self):
        return [(j.kept, j.token_ids, j.count) for part in self.parts for j in part.corrections]


def by_hand(trained, folder):
    """The gradient of -c * sum(w * log p) / count over an update's corrections, and the value."""
    model = load_policy(folder, make_mesh()).model
    count = sum(int(np.asarray(example.completion_mask).sum()) for example in trained.seen)

    def loss(model):
        total = jnp.zeros(())
        for example, part in zip(trained.seen, trained.parts, strict=True):
            ids_BT, weights_BT = np.full((len(part.judged), T), trained.pad), np.zeros((len(part.judged), T), np.float32)
            for c in part.corrections:
                ids = [*part.judged[c.row].completion.token_ids[: c.kept], *c.token_ids]
                ids_BT[c.row, : len(ids)] = ids
                weights_BT[c.row, c.kept : len(ids)] = c.count
            logps_BT = compute_per_token_logps(
                *nnx.split(model), example.prompt_ids, jnp.asarray(ids_BT), trained.pad, trained.end, stop_gradient=False
            )
            total -= C * (weights_BT * logps_BT).sum() / count
        return total

    value, gradient = nnx.value_and_grad(loss)(model)
    pure = gradient.to_pure_dict() if hasattr(gradient, "to_pure_dict") else gradient
    return float(value), {str(path): np.array(leaf) for path, leaf in jax.tree.leaves_with_path(pure)}


def test_the_gradient_is_the_hand_written_one_whatever_the_micro_batches(toy_folder, monkeypatch):
    train = functools.partial(Trained, toy_folder, monkeypatch, corrections="rest")
    whole, *divided = (train(micro_batch_size=size) for size in (4, 2, 1))
    assert len(whole.corrections) > 1
    value, expected = by_hand(whole, toy_folder)
    assert value > 1e-2
    for name, change in whole.gradient.items():
        np.testing.assert_allclose(change, expected[name], atol=1e-5, err_msg=name)
    for trained in divided:
        assert len(trained.parts) == len(trained.seen) > 1
        assert trained.corrections == whole.corrections
        for name, change in whole.gradient.items():
            np.testing.assert_allclose(trained.gradient[name], change, atol=1e-5, err_msg=name)
    for trained in (whole, *divided):
        (row,) = trained.rows
        assert row["correction_loss"] == pytest.approx(value, rel=1e-4)
        assert row["loss"] == pytest.approx(value, rel=1e-4)
        assert {"entropy", "clip_share", "grad_norm"} <= row.keys()
        assert row["cal/corrections"] == sum(count for *_, count in whole.corrections)


def test_only_correction_tokens_have_weight(toy_folder, monkeypatch):
    trained = Trained(toy_folder, monkeypatch, corrections="rest", train_end_token=False)
    (example,), (part,) = trained.seen, trained.parts
    ids_BT, weights_BT = np.asarray(example.correction_ids), np.asarray(example.correction_weights)
    assert weights_BT.sum() == sum(len(ids) * count for _, ids, count in trained.corrections) > 0
    for c in part.corrections:
        end = c.kept + len(c.token_ids)
        assert tuple(ids_BT[c.row, c.kept : end]) == c.token_ids
        assert ids_BT[c.row, : c.kept].tolist() == list(part.judged[c.row].completion.token_ids[: c.kept])
        assert not weights_BT[c.row, : c.kept].any()
        assert not weights_BT[c.row, end:].any()
        assert trained.end not in c.token_ids


def test_off_and_a_weight_of_0_learn_nothing_bit_for_bit(toy_folder, monkeypatch):
    off = Trained(toy_folder, monkeypatch, "prefix")
    none = Trained(toy_folder, monkeypatch, "prefix", corrections="rest", correction_weight=0.0)
    for trained in (off, none):
        assert not hasattr(trained.seen[0], "correction_ids")
        assert trained.corrections == []
        assert not any("correction" in name for name in trained.rows[0])
    assert max(np.abs(change).max() for change in off.gradient.values()) > 0
    for name, change in off.gradient.items():
        np.testing.assert_array_equal(none.gradient[name], change, err_msg=name)


def test_adapters_learn_corrections(toy_folder, monkeypatch):
    trained = Trained(toy_folder, monkeypatch, corrections="rest", lora={"rank": 2})
    moved = {name for name, change in trained.gradient.items() if np.abs(change).max() > 0}
    assert moved
    assert all("lora" in name for name in moved)


def test_an_evaluation_has_none():
    loss = with_corrections(lambda model, example, config: (jnp.ones(()), {"kl": jnp.zeros(())}), C, 0, 2)
    value, aux = loss(None, object(), None)
    assert (float(value), float(aux["correction_loss"])) == (1, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"corrections": "all"}, "corrections is 'all'"),
        ({"corrections": "rest", "use_cal": False}, "the engine's own trainer learns none"),
        ({"corrections": "rest", "loss_agg_mode": "sequence-mean-token-mean"}, "expected token-mean"),
        ({"corrections": "rest", "correction_copies": "ask"}, "correction_copies is 'ask'"),
    ],
)
def test_what_cannot_be_learned_is_one_line(settings, message):
    with pytest.raises(UsageError, match=r"^[^\n]*$") as error:
        CALGRPOConfig(**settings)
    assert message in str(error.value)
