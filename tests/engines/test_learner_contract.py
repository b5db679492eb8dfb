"""What the learner promises, checked on a toy policy that Tunix trains for a few updates."""

import asyncio
import dataclasses
import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tunix.rl.common import compute_per_token_logps
from tunix.rl.grpo.grpo_learner import GRPOConfig, GRPOLearner

from cal_grpo.config import TrainConfig
from cal_grpo.engines.reading import batches, fitting
from cal_grpo.engines.tunix import CALGRPOConfig, CALGRPOLearner, seed_rollouts
from cal_grpo.engines.tunix.models.checkpoint import load_policy
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.engines.tunix.training.cluster import build_cluster
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade, grade_answer
from cal_grpo.oracles import CALOracle, Query, Tag, Verdict
from cal_grpo.tasks.ledger import stories

ROLLOUT = {"max_prompt_tokens": 96, "max_new_tokens": 24}


class FirstWord:
    """An oracle that blames the first five characters of every response, and remembers what it was asked."""

    name = "first-word"

    def __init__(self, tag=Tag.FOUND):
        self.asked: list[Query] = []
        self.tag = tag

    async def locate(self, query):
        self.asked.append(query)
        segment = query.response[:5] if self.tag is Tag.FOUND else ""
        return Verdict(self.tag, segment=segment) if segment.strip() or self.tag is not Tag.FOUND else Verdict(Tag.ABSTAINED)


class Thinks(FirstWord):
    """``FirstWord`` after a while that depends on the response."""

    async def locate(self, query):
        await asyncio.sleep(0.05 * (len(query.response) % 5))
        return await super().locate(query)


class Blocking(CALOracle):
    """Waits for each verdict before it takes the next query, as training stacks do without an overlap."""

    def submit(self, query):
        future = super().submit(query)
        future.exception()
        return future


class Raises:
    name = "raises"

    async def locate(self, query):
        raise RuntimeError("the oracle's own bug")


def train_config(**changes):
    defaults = {"batch_size": 2, "num_generations": 4, "num_train_steps": 2, "learning_rate": 1e-2, "rollout": ROLLOUT}
    return TrainConfig.model_validate(defaults | changes)


@pytest.fixture
def build(make_folder):
    """``build(learner_fn, **config) -> (cluster, learner, data)``."""

    def build_learner(make_learner, model_type="qwen2", **changes):
        config = train_config(**changes)
        policy = load_policy(make_folder(model_type=model_type), make_mesh(), remat=config.remat)
        cluster = build_cluster(config, policy, make_mesh(), None)
        examples = list(itertools.islice(stories(seed=0, steps=2, split="train"), 8))
        pairs, _ = fitting(examples, policy.tokenizer, 96, "training")
        return cluster, make_learner(cluster), batches(pairs, config.batch_size, seed=0)

    return build_learner


def cal(cluster, oracle, on_credit=None, **changes):
    return CALGRPOLearner(cluster, CALGRPOConfig(num_generations=4, **changes), oracle=oracle, on_credit=on_credit)


def parameters(cluster):
    state = nnx.state(cluster.actor_trainer.model, nnx.Param)
    return {str(path): np.array(leaf) for path, leaf in jax.tree.leaves_with_path(state.to_pure_dict())}


def spy_on_updates(cluster):
    """Every batch that reaches the update."""
    seen = []
    update = cluster.update_actor

    def update_actor(train_ds, eval_ds, skip_jit=False):
        seen.extend(train_ds)
        return update(train_ds, eval_ds, skip_jit)

    cluster.update_actor = update_actor
    return seen


def test_advantages_reach_the_update_on_the_engines_grid(build):
    oracle = FirstWord()
    cluster, learner, data = build(
        lambda c: cal(c, oracle, credit="sparse", on_miss="drop", on_truncated="drop", train_end_token=False)
    )
    seen = spy_on_updates(cluster)
    learner.train(data)
    assert len(seen) == 2
    for example in seen:
        advantages_BT, mask_BT = np.asarray(example.advantages), np.asarray(example.completion_mask)
        assert advantages_BT.shape == (8, 24)  # 2 questions x 4 answers, T = max tokens
        assert advantages_BT.dtype == np.float32
        assert not advantages_BT[~mask_BT].any()
        np.testing.assert_allclose(advantages_BT.sum(axis=1)[advantages_BT.any(axis=1)], -1.0, rtol=1e-5)
    assert oracle.asked  # a random policy answers wrong


def test_zero_credit_without_kl_changes_nothing(build):
    cluster, learner, data = build(
        lambda c: cal(c, FirstWord(Tag.NO_ERROR), credit="balanced", on_miss="drop", beta=0.0), beta=0.0
    )
    before = parameters(cluster)
    learner.train(data)
    for name, value in parameters(cluster).items():
        np.testing.assert_array_equal(before[name], value, err_msg=name)


def test_kl_pulls_a_policy_back_and_leaves_the_reference_policy_alone(build):
    def silent(beta):
        return lambda c: cal(c, FirstWord(Tag.NO_ERROR), credit="balanced", on_miss="drop", beta=beta)

    # At the reference policy the term has no gradient.
    cluster, learner, data = build(silent(0.04), num_train_steps=1)
    seen = spy_on_updates(cluster)
    learner.train(data)
    loss = functools.partial(kl_gradient, cluster, learner, seen[0])
    np.testing.assert_allclose(loss(shift=0.0), 0.0, atol=1e-6)
    # A token made likelier than under the reference is pushed down again, a rarer one up: descent moves against the sign.
    assert loss(shift=0.5) > 0 > loss(shift=-0.5)


def kl_gradient(cluster, learner, example, shift):
    """Derivative of the loss by a shift that is added to every sampled token's log-probability."""
    import tunix.rl.algo_core as algo_core

    original = compute_per_token_logps

    def loss(by):
        def shifted(*args, **kwargs):
            logps, logits = original(*args, **kwargs)
            return logps + by, logits

        algo_core.common.compute_per_token_logps = shifted
        try:
            model = cluster.inference_worker.get_model("reference")
            ids = cluster.rollout.pad_id(), cluster.rollout.eos_id()
            return algo_core.grpo_loss_fn(model, example, learner.algo_config, *ids)[0]
        finally:
            algo_core.common.compute_per_token_logps = original

    return float(jax.jit(jax.grad(loss))(shift))


def test_some_credit_changes_parameters(build):
    cluster, learner, data = build(lambda c: cal(c, FirstWord(), credit="prefix"))
    before = parameters(cluster)
    learner.train(data)
    assert any(not np.array_equal(before[name], value) for name, value in parameters(cluster).items())


def test_only_span_tokens_get_a_gradient_on_the_logits(build):
    cluster, learner, data = build(lambda c: cal(c, FirstWord(), credit="sparse", beta=0.04), beta=0.04)
    learner.algo_config.beta = 0.0  # the policy term alone
    seen = spy_on_updates(cluster)
    learner.train(data)
    example = seen[0]
    graph, state = nnx.split(cluster.actor_trainer.model)
    from tunix.rl.algo_core import grpo_loss_fn

    shift_shape = (*example.completion_ids.shape, graph_vocab(cluster))

    def loss_of_shifted_logits(shift_BTV):
        # The loss reads log-probabilities of completion tokens; adding to the logits there shows which are read.
        original = compute_per_token_logps

        def shifted(*args, **kwargs):
            _logps, logits = original(*args, **kwargs | {"return_logits": True})
            moved = jax.nn.log_softmax(logits + shift_BTV, axis=-1)
            picked = jnp.take_along_axis(moved, example.completion_ids[..., None], axis=-1)[..., 0]
            return picked, logits

        import tunix.rl.algo_core as algo_core

        algo_core.common.compute_per_token_logps = shifted
        try:
            loss, _ = grpo_loss_fn(
                nnx.merge(graph, state),
                example,
                learner.algo_config,
                cluster.rollout.pad_id(),
                cluster.rollout.eos_id(),
            )
        finally:
            algo_core.common.compute_per_token_logps = original
        return loss

    gradient_BT = np.abs(np.asarray(jax.jit(jax.grad(loss_of_shifted_logits))(jnp.zeros(shift_shape)))).sum(axis=-1)
    blamed_BT = np.asarray(example.advantages) != 0
    assert blamed_BT.any()
    assert (gradient_BT[blamed_BT] > 0).all()
    assert not gradient_BT[~blamed_BT].any()


def graph_vocab(cluster):
    return cluster.actor_trainer.model.config.vocab_size


@pytest.mark.parametrize("whole", [True, False])
def test_the_tasks_grader_is_given_the_example_and_decides_what_is_right(build, whole):
    graded, credited = [], []

    def grade(response, example):
        graded.append(example)
        return Grade("a" in response, response[:5], example.answer, "text")

    def learner_of(cluster):
        settings = CALGRPOConfig(num_generations=4)
        return CALGRPOLearner(
            cluster, settings, oracle=FirstWord(), grade=grade, on_credit=lambda _, credit: credited.extend(credit.judged)
        )

    _, learner, data = build(learner_of, num_train_steps=1)
    columns = ("prompts", "question", "answer", "reference", *(["example"] if whole else []))
    learner.train({name: batch[name] for name in columns} for batch in data)
    assert len(credited) == 8
    assert set(graded) <= set(itertools.islice(stories(seed=0, steps=2, split="train"), 8))
    for judged, example in zip(credited, graded, strict=True):
        completion = judged.completion
        assert (completion.question, completion.reference) == (example.question, example.reference)
        assert completion.grade.correct == ("a" in judged.text)
        assert completion.reward == float(completion.grade.correct)


@pytest.mark.parametrize("model_type", ["qwen3", "llama"])
def test_recomputing_layers_samples_the_same_and_learns_the_same(build, model_type):
    ends = []
    for remat in (False, True):
        cluster, learner, data = build(lambda c: cal(c, FirstWord()), model_type, remat=remat, num_train_steps=1)
        learner.train(data)
        ends.append(parameters(cluster))
    for name, value in ends[0].items():  # Adam moves every parameter by about the learning rate, 1e-2
        np.testing.assert_allclose(value, ends[1][name], atol=5e-4, err_msg=name)


def test_evaluation_asks_the_oracle_nothing(build):
    oracle = FirstWord()
    cluster, learner, data = build(lambda c: cal(c, oracle))
    modes = []
    rollout = cluster.generate
    cluster.generate = lambda **kwargs: (modes.append(str(kwargs["mode"])), rollout(**kwargs))[1]
    held_out = next(data)
    learner.train(data, [held_out])
    assert modes.count("eval") == 1
    assert oracle.asked
    assert not {q.question for q in oracle.asked} & set(held_out["question"])


def test_an_oracle_that_raises_surfaces_and_nothing_hangs(build):
    _cluster, learner, data = build(lambda c: cal(c, Raises()))
    with pytest.raises(RuntimeError, match="the oracle's own bug"):
        learner.train(data)


@pytest.mark.parametrize("num_iterations", [1, 2])
def test_an_oracle_in_the_background_changes_no_bit(build, num_iterations):
    ends, batches_seen = [], []
    for kind in (CALOracle, Blocking):
        with kind(Thinks()) as oracle:
            seen = []
            cluster, learner, data = build(
                lambda c, oracle=oracle, seen=seen: cal(
                    c, oracle, lambda step, credited: seen.append((step, credited.advantages_BT.tolist())),
                    credit="study.controls:random_span", num_iterations=num_iterations,
                ),
                micro_batch_size=1, num_train_steps=2 * num_iterations,
            )  # fmt: skip
            learner.train(data)
        ends.append(parameters(cluster))
        batches_seen.append(seen)
    assert batches_seen[0] == batches_seen[1]
    assert [step for step, _ in batches_seen[0]] == [0, 0, 1, 1]
    for name, value in ends[0].items():
        np.testing.assert_array_equal(value, ends[1][name], err_msg=name)


class RaisesLater(FirstWord):
    """Answers the first micro-batch's queries and fails on all later ones."""

    async def locate(self, query):
        if len(self.asked) >= 4:
            raise RuntimeError("the oracle's own bug")
        return await super().locate(query)


def test_an_oracle_that_raises_between_two_micro_batches_surfaces_too(build):
    _cluster, learner, data = build(lambda c: cal(c, RaisesLater()), micro_batch_size=1, num_train_steps=5)
    with pytest.raises(RuntimeError, match="the oracle's own bug"):
        learner.train(data)


@pytest.mark.parametrize("tag", [Tag.NO_ERROR, Tag.TIMEOUT])
def test_a_miss_can_stop_the_run(build, tag):
    _cluster, learner, data = build(lambda c: cal(c, FirstWord(tag), on_miss="raise", on_failure="raise"))
    with pytest.raises(UsageError, match=f"no usable span: {tag}"):
        learner.train(data)


def test_every_rollout_call_and_micro_batch_draws_fresh_noise(build):
    texts = []
    config = {"micro_batch_size": 1}
    _cluster, learner, data = build(
        lambda c: cal(c, FirstWord(), on_credit=lambda _, credited: texts.append([j.text for j in credited.judged])),
        **config,
    )
    same = next(data)
    one_question = {k: np.repeat(v[:1], 2) for k, v in same.items()}
    learner.train(itertools.repeat(one_question, 2))
    assert len(texts) == 4  # 2 updates of 2 micro-batches
    flat = [text for batch in texts for text in batch]
    assert len(set(flat)) == len(flat)


def test_rollouts_are_reproducible_and_a_given_seed_is_respected(build):
    runs = []
    for _ in range(2):
        texts: list[str] = []
        _, learner, data = build(
            lambda c, texts=texts: cal(
                c, FirstWord(), on_credit=lambda _, credited: texts.extend(j.text for j in credited.judged), seed=5
            )
        )
        learner.train(data)
        runs.append(texts)
    assert runs[0] == runs[1]
    cluster, _, data = build(lambda c: cal(c, FirstWord(), seed=1))
    prompts = list(next(data)["prompts"])
    fixed = dataclasses.replace(cluster.cluster_config.rollout_config, seed=7)
    first, again = (cluster.rollout.generate(prompts, fixed).text for _ in "ab")
    assert first == again


def test_a_formula_reads_the_log_probs_of_the_sampler(build):
    credited, sampled = [], []

    def make(cluster):
        cluster.cluster_config.rollout_config.return_logprobs = True
        generate = cluster.rollout.generate
        cluster.rollout.generate = lambda *a, **k: sampled.append(generate(*a, **k)) or sampled[-1]
        config = CALGRPOConfig(num_generations=4, credit="probability_mask")
        rewards = lambda prompts, completions, **_: [float(i % 2) for i in range(len(completions))]  # noqa: E731
        return CALGRPOLearner(cluster, config, reward_fns=rewards, on_credit=lambda step, c: credited.append(c))

    _, learner, data = build(make, num_train_steps=1)
    learner.train(itertools.islice(data, 1))
    (batch,), (rollout,) = credited, sampled
    for row, judged in enumerate(batch.judged):
        own_T = np.asarray(rollout.logprobs[row])[: len(judged.completion.token_ids)]
        np.testing.assert_allclose(judged.completion.logprobs, own_T, atol=1e-4)
        np.testing.assert_array_equal(batch.advantages_BT[row, : len(own_T)] != 0, np.exp(own_T) < 0.9)


def test_several_processes_are_refused(build, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UsageError, match="2 processes; expected one"):
        build(lambda c: cal(c, FirstWord()))


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize("where", ["train", "eval"])
def test_batches_without_a_column_name_it_before_the_first_rollout(build, where, as_list):
    cluster, learner, data = build(lambda c: cal(c, FirstWord()))
    cluster.rollout.generate = lambda *a, **k: pytest.fail("sampled")
    good = list(itertools.islice(data, 2))
    for column in ("prompts", "question", "answer", "reference"):
        bad = [{k: v for k, v in batch.items() if k != column} for batch in good]
        given = {"train_ds": good, "eval_ds": good, f"{where}_ds": bad if as_list else iter(bad)}
        with pytest.raises(UsageError, match=f"no column '{column}'; expected the columns prompts, question"):
            learner.train(**given)
    with pytest.raises(UsageError, match="differ in length"):
        learner.train([good[0] | {"answer": good[0]["answer"][:1]}])
    with pytest.raises(UsageError, match="has no batch"):
        learner.train(iter([]))


def test_a_later_batch_without_a_column_surfaces_too(build):
    _, learner, data = build(lambda c: cal(c, FirstWord()), num_train_steps=5)
    first, second = itertools.islice(data, 2)
    del second["answer"]
    with pytest.raises(UsageError, match="no column 'answer'"):
        learner.train([first, second])


def parameters_of(function):
    return list(inspect.signature(function).parameters.values())[1:]


def test_tunix_own_arguments_are_taken_by_its_names_in_its_order_and_ours_by_name_only():
    theirs, ours = parameters_of(GRPOLearner.__init__), parameters_of(CALGRPOLearner.__init__)
    assert [(p.name, p.kind) for p in ours[: len(theirs)]] == [(p.name, p.kind) for p in theirs]
    for own, tunix in zip(ours, theirs, strict=False):
        assert own.default == (None if own.name == "reward_fns" else tunix.default)  # without any, answers are graded
    assert [(p.name, p.kind) for p in ours[len(theirs) :]] == [
        (name, inspect.Parameter.KEYWORD_ONLY) for name in ("oracle", "on_credit", "grade")
    ]
    assert [(p.name, p.kind, p.default) for p in parameters_of(CALGRPOLearner.train)] == [
        (p.name, p.kind, p.default) for p in parameters_of(GRPOLearner.train)
    ]
    names = {field.name for field in dataclasses.fields(CALGRPOConfig)}
    assert {field.name for field in dataclasses.fields(GRPOConfig)} <= names


def short_is_good(prompts, completions, **columns):
    assert len(prompts) == len(completions) == len(columns["answer"])
    return [1.0 / (1 + len(text)) for text in completions]


def right_is_good(prompts, completions, answer, **columns):
    return [float(grade_answer(text, str(a)).correct) for text, a in zip(completions, answer, strict=True)]


def lengths(prompts, completions, rewards, advantages, **columns):
    return {"mine/length": (float(np.mean([len(text) for text in completions])), np.mean)}


def test_a_tunix_script_changes_its_classes_and_names_an_oracle_and_off_is_bit_identical(build):
    """Tunix's call as its users write it: everything by name, the rewards in a list."""

    def script(learner_class, config_class, **ours):
        def make(cluster):
            algo_config = config_class(
                num_generations=4, num_iterations=1, beta=0.04, epsilon=0.2, loss_agg_mode="token-mean",
                kl_loss_mode="low_var_kl",
            )  # fmt: skip
            if learner_class is GRPOLearner:
                seed_rollouts(cluster, seed=3)
            return learner_class(
                rl_cluster=cluster,
                reward_fns=[short_is_good, right_is_good],
                algo_config=algo_config,
                metric_fns=[lengths],
                data_shuffle_seed=42,
                **ours,
            )

        cluster, learner, data = build(make)
        with make_mesh():
            learner.train(list(itertools.islice(data, 2)))
        return parameters(cluster)

    theirs = script(GRPOLearner, GRPOConfig)
    off = script(CALGRPOLearner, functools.partial(CALGRPOConfig, use_cal=False, seed=3))
    credited = script(CALGRPOLearner, functools.partial(CALGRPOConfig, seed=3), oracle=FirstWord())
    for name, value in theirs.items():
        np.testing.assert_array_equal(off[name], value, err_msg=name)
    assert any(not np.array_equal(credited[name], value) for name, value in theirs.items())


def test_tunix_own_config_is_refused_in_one_line(build):
    with pytest.raises(UsageError, match="algo_config is a GRPOConfig; expected a CALGRPOConfig"):
        build(lambda c: CALGRPOLearner(c, GRPOConfig(num_generations=4), oracle=FirstWord()))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"num_generations": 1}, "a group of one has no baseline"),
        ({"credit": "balance"}, "did you mean 'balanced'"),
        ({"negative_reward": 1.0}, "below 0"),
        ({"on_miss": "ignore"}, "expected one of mean, drop, grpo, raise"),
    ],
)
def test_bad_settings_are_one_line(bad, message):
    with pytest.raises(UsageError, match=message):
        CALGRPOConfig(**{"num_generations": 4} | bad)


def test_sparse_without_kl_warns():
    with pytest.warns(UserWarning, match="nothing holds the policy"):
        CALGRPOConfig(num_generations=4, credit="sparse", beta=0.0)


@pytest.mark.parametrize("train_end_token", [True, False])
def test_the_token_that_ended_an_answer_is_trained_with_the_last_ones_credit(build, train_end_token):
    oracle, credited = FirstWord(), []
    keep = lambda step, one: credited.append(one)  # noqa: E731
    settings = {"credit": "balanced", "train_end_token": train_end_token, "beta": 0.0, "on_truncated": "drop"}
    # A random policy seldom ends by itself: its most likely token is made the one that ends.
    cluster, learner, data = build(lambda c: cal(ending(c), oracle, keep, **settings), num_train_steps=1, beta=0.0)
    seen = spy_on_updates(cluster)
    learner.train(data)
    (example,), (one,) = seen, credited
    ids_BT, mask_BT, advantages_BT = (
        np.asarray(a) for a in (example.completion_ids, example.completion_mask, example.advantages)
    )
    ends = set(cluster.cluster_config.rollout_config.eos_tokens)
    ended = [j.completion.end_token for j in one.judged]
    assert any(ended) == train_end_token
    assert {j.completion.truncated for j in one.judged} == {True, False}
    for row, judged in enumerate(one.judged):
        length = len(judged.completion.token_ids)
        assert not ends & set(judged.completion.token_ids)  # alignment and oracle do not see it
        assert judged.completion.truncated == (length == ids_BT.shape[1])
        assert mask_BT[row].sum() == length + ended[row]
        if ended[row]:
            assert int(ids_BT[row, length]) in ends
            assert advantages_BT[row, length] == (advantages_BT[row, length - 1] if length else 0)
        if judged.completion.truncated:
            assert judged.verdict is None
            assert not advantages_BT[row].any()
    assert one.metrics["cut_share"] == np.mean([j.completion.truncated for j in one.judged])
    assert len(oracle.asked) == one.metrics["asked"] - one.metrics["cached"]


def ending(cluster):
    """The cluster, with a token that its policy samples often as one that ends an answer."""
    prompt = "<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n"
    fixed = dataclasses.replace(cluster.cluster_config.rollout_config, seed=1)
    drawn = np.concatenate(cluster.rollout.generate([prompt] * 8, fixed).tokens)
    often = np.bincount(drawn).argsort()[::-1][:24].tolist()
    cluster.cluster_config.rollout_config.eos_tokens = [*cluster.cluster_config.rollout_config.eos_tokens, *often]
    return cluster


@pytest.mark.parametrize("hook", ["_process_accumulated_batches", "_prepare_data", "_generate_and_compute_advantage"])
def test_a_hook_that_tunix_no_longer_has_stops_the_learner_when_it_is_made(build, monkeypatch, hook):
    monkeypatch.setattr(GRPOLearner, hook, lambda self, other_arguments: None)
    with pytest.raises(UsageError, match=rf"a {hook} without .*install google-tunix==0.1.7"):
        build(lambda c: cal(c, FirstWord()))


def test_a_hook_that_is_never_called_stops_the_run_before_an_update_without_credit(build, monkeypatch):
    # As if Tunix had renamed what it calls: ours is there and nobody calls it.
    monkeypatch.setattr(CALGRPOLearner, "_process_accumulated_batches", GRPOLearner._process_accumulated_batches)
    cluster, learner, data = build(lambda c: cal(c, FirstWord()))
    before = parameters(cluster)
    with pytest.raises(UsageError, match=r"advantages of shape \(8,\), expected \(8, 24\)"):
        learner.train(data)
    for name, value in parameters(cluster).items():
        np.testing.assert_array_equal(before[name], value, err_msg=name)


def test_rows_that_were_credited_and_not_updated_on_stop_the_run(build):
    cluster, learner, data = build(lambda c: cal(c, FirstWord()))
    guarded = cluster.update_actor
    cluster.update_actor = lambda train_ds, *a: guarded([e for e in train_ds if cluster.global_steps], *a)
    with pytest.raises(UsageError, match="8 rows were credited and 0 updated on"):
        learner.train(data)


def test_several_iterations_want_one_temperature_and_begin_at_a_ratio_of_one(build):
    with pytest.raises(UsageError, match="log-probs at two temperatures"):
        build(lambda c: cal(c, FirstWord(), num_iterations=2), rollout=ROLLOUT | {"temperature": 0.7})
    cluster, learner, data = build(lambda c: cal(c, FirstWord(), num_iterations=2), num_train_steps=2)
    seen = spy_on_updates(cluster)
    learner.train(data)
    first = seen[0]
    graph, state = nnx.split(cluster.inference_worker.get_model("reference"))  # where the first pass began
    ids = {"pad_id": cluster.rollout.pad_id(), "eos_id": cluster.rollout.eos_id()}
    now_BT = compute_per_token_logps(
        graph, state, prompt_tokens=first.prompt_ids, completion_tokens=first.completion_ids, temperature=1.0, **ids
    )
    mask_BT = np.asarray(first.completion_mask)
    ratio = np.exp(np.asarray(now_BT) - np.asarray(first.old_per_token_logps))[mask_BT]
    np.testing.assert_allclose(ratio, 1.0, atol=1e-4)
