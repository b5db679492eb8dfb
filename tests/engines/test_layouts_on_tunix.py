"""Questions, answers and micro-batches of an update, laid out in any way: what is learned is the same."""

import itertools

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from cal_grpo.config import TrainConfig
from cal_grpo.engines.reading import batches, fitting
from cal_grpo.engines.tunix import CALGRPOConfig, CALGRPOLearner
from cal_grpo.engines.tunix.engine import algorithm
from cal_grpo.engines.tunix.models.checkpoint import load_policy
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.engines.tunix.training import RowBackend, build_cluster, cluster, emit_before_checkpoints
from cal_grpo.errors import UsageError
from cal_grpo.oracles import Tag, Verdict
from cal_grpo.tasks import stories

ROLLOUT = {"max_prompt_tokens": 96, "max_new_tokens": 24}
LOGGED = ("loss", "kl", "entropy", "reward", "cal/asked", "cal/found")
OF_THE_BATCH = ("cal/advantage_variance", "cal/credit_share")  # where groups are credited, the mean of the micro-batches'


class FirstWord:
    """Blames the first five characters of every response."""

    name = "first-word"

    async def locate(self, query):
        segment = query.response[:5]
        return Verdict(Tag.FOUND, segment=segment) if segment.strip() else Verdict(Tag.ABSTAINED)


def vowels(prompts, completions, **columns):
    """A reward that tells a random policy's answers apart."""
    return [sum(text.count(vowel) for vowel in "aeiou") / 4 for text in completions]


class Trained:
    """An update of plain descent at a rate of 1, so that the change of a parameter is its gradient."""

    def __init__(self, folder, monkeypatch, agg="token-mean", reward=vowels, metric_fns=None, **changes):
        monkeypatch.setattr(cluster, "adam", lambda config: optax.sgd(1.0))
        defaults = {"num_train_steps": 1, "beta": 0.1, "rollout": ROLLOUT, "credit": "prefix", "on_truncated": "grpo"}
        config = TrainConfig.model_validate(defaults | changes)
        policy = load_policy(folder, make_mesh())
        pairs, _ = fitting(list(itertools.islice(stories(seed=0, steps=2, split="train"), 8)), policy.tokenizer, 96, "training")
        rows, self.rows, self.credited, self.seen = RowBackend(lambda row: self.rows.append(row)), [], [], []
        engine = build_cluster(config, policy, make_mesh(), None, rows)
        emit_before_checkpoints(engine, rows)
        settings = algorithm(config, config.credit)
        settings.loss_agg_mode = agg
        update = engine.update_actor
        engine.update_actor = lambda train_ds, *a: (self.seen.extend(train_ds), update(self.seen[-1:], *a))[1]
        learner = CALGRPOLearner(
            engine, settings, reward, metric_fns, oracle=FirstWord(), on_credit=lambda _, part: self.credited.append(part)
        )
        before = self._parameters(engine)
        learner.train(itertools.islice(batches(pairs, config.batch_size, seed=0), 1))
        self.gradient = {name: before[name] - after for name, after in self._parameters(engine).items()}
        self.texts = [judged.text for part in self.credited for judged in part.judged]

    @staticmethod
    def _parameters(engine):
        state = nnx.state(engine.actor_trainer.model, nnx.Param)
        return {str(path): np.array(leaf) for path, leaf in jax.tree.leaves_with_path(state.to_pure_dict())}


@pytest.mark.parametrize(
    ("sizes", "agg", "layout"),
    [
        ([4, 2, 1], "token-mean", {"num_generations": 1, "baseline": "batch"}),
        ([4, 1], "sequence-mean-token-mean", {"num_generations": 1, "baseline": "batch"}),
        ([4, 2], "token-mean", {"num_generations": 2, "baseline": "batch", "credit": "grpo"}),
        ([4, 1], "token-mean", {"num_generations": 2}),
    ],
)
def test_an_update_is_the_same_whatever_its_micro_batches(toy_folder, monkeypatch, sizes, agg, layout):
    whole, *divided = (Trained(toy_folder, monkeypatch, agg, batch_size=4, micro_batch_size=size, **layout) for size in sizes)
    assert max(np.abs(change).max() for change in whole.gradient.values()) > 1e-2
    assert len({len(judged.completion.token_ids) for part in whole.credited for judged in part.judged}) > 1
    for size, trained in zip(sizes[1:], divided, strict=True):
        assert len(trained.credited) == len(trained.seen) == 4 // size
        assert trained.texts == whole.texts  # sampled in one call
        assert len({int(np.asarray(example.completion_mask).sum()) for example in trained.seen}) > 1
        for name, change in whole.gradient.items():
            np.testing.assert_allclose(trained.gradient[name], change, atol=1e-5, err_msg=name)
        for name in LOGGED + (OF_THE_BATCH if "baseline" in layout else ()):
            assert trained.rows[0][name] == pytest.approx(whole.rows[0][name], rel=1e-3, abs=1e-6), name


def test_one_answer_a_question_is_compared_with_all_of_the_update_and_nothing_is_nan(toy_folder, monkeypatch):
    seen = []

    def metric(prompts, completions, rewards, advantages, **columns):
        seen.append((np.array(rewards), np.array(advantages)))
        return {}

    trained = Trained(
        toy_folder, monkeypatch, metric_fns=[metric], batch_size=4, num_generations=1, baseline="batch", credit="grpo",
        micro_batch_size=1, train_end_token=False,
    )  # fmt: skip
    ((rewards_B, advantages_B),) = seen
    assert len(set(rewards_B)) > 1
    expected_B = (rewards_B - rewards_B.mean()) / (rewards_B.std(ddof=1) + 1e-6)
    np.testing.assert_allclose(advantages_B, expected_B, rtol=1e-4)
    for example, part, expected in zip(trained.seen, trained.credited, expected_B, strict=True):
        mask_BT, advantages_BT = np.asarray(example.completion_mask), np.asarray(example.advantages)
        np.testing.assert_allclose(advantages_BT[mask_BT], expected, rtol=1e-4)
        np.testing.assert_allclose(part.advantages_BT, expected, rtol=1e-4)
    assert all(np.isfinite(value) for value in trained.rows[0].values())


def test_questions_of_a_call_of_the_sampler_can_be_set_apart(toy_folder, monkeypatch):
    layout = {"batch_size": 4, "num_generations": 1, "baseline": "batch"}
    calls = Trained(toy_folder, monkeypatch, rollout=ROLLOUT | {"micro_batch_size": 2}, micro_batch_size=1, **layout)
    again = Trained(toy_folder, monkeypatch, rollout=ROLLOUT | {"micro_batch_size": 2}, micro_batch_size=4, **layout)
    one = Trained(toy_folder, monkeypatch, micro_batch_size=4, **layout)
    assert calls.texts == again.texts != one.texts  # noise is drawn for each call
    assert calls.texts[:2] != calls.texts[2:]
    for name, change in again.gradient.items():
        np.testing.assert_allclose(calls.gradient[name], change, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_generations": 1}, "a group of one has no baseline; set baseline=batch or num_generations to 2 or more"),
        ({"num_generations": 0, "baseline": "batch"}, "num_generations is 0; expected 1 or more"),
        ({"num_generations": 4, "baseline": "all"}, "baseline is 'all'; expected one of group, batch"),
        ({"num_generations": 1, "use_cal": False}, "use_cal is false with baseline=group and num_generations=1"),
        ({"num_generations": 4, "baseline": "batch", "use_cal": False}, "the engine's own trainer has groups of 2 or more"),
    ],
)
def test_a_layout_without_a_baseline_is_one_line(settings, message):
    with pytest.raises(UsageError, match=r"^[^\n]*$") as error:
        CALGRPOConfig(**settings)
    assert message in str(error.value)


def test_tunix_own_checks_stay():
    with pytest.raises(ValueError, match="loss_algo should be either grpo or gspo-token"):
        CALGRPOConfig(num_generations=1, baseline="batch", loss_algo="ppo")
    assert CALGRPOConfig(num_generations=1, baseline="batch").num_generations == 1


def test_one_answer_in_all_surfaces_and_nothing_hangs(toy_folder, monkeypatch):
    config = {"batch_size": 1, "num_generations": 2}
    trained = Trained(toy_folder, monkeypatch, baseline="batch", **config)
    assert len(trained.texts) == 2
    monkeypatch.setattr("cal_grpo.config.train_config.check_baseline", lambda *a, **k: None)
    with pytest.raises(UsageError, match="baseline is batch and an update has 1 answer"):
        Trained(toy_folder, monkeypatch, baseline="batch", **config | {"num_generations": 1})
