"""What any engine must do. Another one needs its name in ENGINES.

A toy policy trains for a few updates with an oracle that blames the first characters of every wrong answer.
"""

import gc
import math
import shutil
import weakref

import numpy as np
import pytest
from _toy import write_folder

from cal_grpo.config import load_config
from cal_grpo.credit import formula
from cal_grpo.engines import METRICS, Parts, cal_metrics, engine_of, require_engine
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Verdict
from cal_grpo.tasks import Example, TaskData, stories

ENGINES = ["tunix", "trl"]

UPDATES, QUESTIONS, GROUP, LENGTH = 4, 2, 4, 24
SETTINGS = {
    "num_train_steps": UPDATES, "batch_size": QUESTIONS, "micro_batch_size": 1, "num_generations": GROUP, "beta": 0.1,
    "learning_rate": 1e-2, "eval.batch_size": 2, "rollout.max_prompt_tokens": 96, "rollout.max_new_tokens": LENGTH,
    "checkpoint.every": 100,
}  # fmt: skip
LONG = Example("How many apples are there? " * 40, "1", "#### 1")
TRAINING = [next(stories(seed=seed, steps=2, split="train")) for seed in range(5)]
HELD_OUT = [next(stories(seed=seed, steps=2, split="eval")) for seed in range(3)]
TASK = TaskData([*TRAINING, LONG], [HELD_OUT[0], LONG, *HELD_OUT[1:]], prompt_tokens=96, answer_tokens=LENGTH)


class BlamesStarts:
    name = "blames-starts"

    async def locate(self, query: Query):
        segment = query.response.strip()[:4]
        return Verdict(Tag.FOUND, segment=segment) if segment else Verdict(Tag.ABSTAINED)


class Fails:
    name = "fails"

    async def locate(self, query):
        raise RuntimeError("the oracle's own bug")


@pytest.fixture(scope="module", params=ENGINES)
def world(request, tmp_path_factory):
    """An engine's name, a toy policy's folder, and a training that nothing stopped."""
    try:
        require_engine(request.param)
    except UsageError as missing:
        pytest.skip(str(missing))
    root = tmp_path_factory.mktemp(request.param)
    return World(request.param, root, write_folder(root / "toy"))


class World:
    def __init__(self, name, root, folder):
        self.name, self.root, self.folder = name, root, folder
        self.whole = self.trained("whole")

    def open(self, oracle=None, reward_fns=(), **changes):
        config = load_config(overrides={"engine": self.name, "model_id": str(self.folder)} | SETTINGS | changes)
        return engine_of(self.name).open(config, Parts(TASK, formula(config.credit), oracle, reward_fns))

    def trained(self, run, should_stop=lambda told: False, reward_fns=(), **changes):
        """A training in ``root/run`` from wherever that stands, as far as ``should_stop(what was told)`` lets it go."""
        told = Told()
        with CALOracle(BlamesStarts()) as oracle:
            engine = told.engine = self.open(oracle, reward_fns, **changes)
            told.before = list(engine.answers(0, lambda done: None)) if run == "whole" else None
            engine.start(self.root / run, told.on_credit, told.on_metrics)
            told.made = engine.learn(lambda: should_stop(told))
            told.after = [answered for batch in engine.answers(0, lambda done: None) for answered in batch]
            engine.save_policy(self.root / run / "policy")
            engine.close()
            engine.close()
        return told


class Told:
    """What an engine told."""

    def __init__(self):
        self.rows, self.credited, self.tallies = [], [], []

    def on_credit(self, tally, credited):
        self.credited.append((tally.step, credited))
        if not self.tallies or self.tallies[-1] is not tally:
            self.tallies.append(tally)

    def on_metrics(self, row):
        self.rows.append(row)


def tensors(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def test_what_was_opened_knows_its_questions_and_has_written_nothing(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine = world.open()
    assert engine.held_out == HELD_OUT
    assert engine.skipped == {"training": 1, "held-out": 1}
    assert engine.compile_s >= 0
    assert engine.device == engine.device.strip() != ""
    assert engine.find_checkpoint(tmp_path).update == 0
    engine.close()
    engine.close()
    assert list(tmp_path.iterdir()) == []


def test_a_policy_answers_before_anything_is_started(world):
    answered, done = [], []
    for _ in range(2):
        engine = world.open()
        answered.append(list(engine.answers(2, done.append)))
        engine.close()
    assert [len(batch) for batch in answered[0]] == [2, 1]
    for batch in answered[0]:
        for one in batch:
            assert len(one.samples) == 2
            assert all(answer.grade.expected == one.example.answer for answer in (one.greedy, *one.samples))
    assert [one.example for batch in answered[0] for one in batch] == HELD_OUT
    assert answered[0] == answered[1]
    assert done[: len(done) // 2] == done[len(done) // 2 :] == sorted(done[: len(done) // 2])
    assert done[-1] == len(HELD_OUT) * (1 + 2)
    texts = [text for batch in answered[0] for one in batch for text, *_ in one.samples]
    assert len(set(texts)) == len(texts)  # a random policy's samples differ
    alone = [one.greedy for batch in world.whole.before for one in batch]
    assert alone == [one.greedy for batch in answered[0] for one in batch]


def test_each_update_has_a_row_with_every_metric_and_the_credit_that_was_told(world):
    told = world.whole
    assert told.made == UPDATES
    assert [row["step"] for row in told.rows] == [tally.step for tally in told.tallies] == list(range(1, UPDATES + 1))
    assert [step for step, _ in told.credited] == [step for step in range(1, UPDATES + 1) for _ in range(QUESTIONS)]
    for row, tally in zip(told.rows, told.tallies, strict=True):
        credited = [c for step, c in told.credited if step == row["step"]]
        names = {name for c in credited for name in cal_metrics(c)}
        assert set(METRICS) | {"kl"} | names <= set(row)
        assert all(math.isfinite(row[name]) for name in {*METRICS, "kl", *names})
        assert (tally.total, tally.rows) == (UPDATES, QUESTIONS * GROUP)
        assert row["accuracy"] == pytest.approx(tally.accuracy)
        assert row["reward"] == pytest.approx(tally.accuracy)
        assert row["tokens"] == tally.tokens
        assert row["tokens_min"] <= row["tokens_mean"] <= row["tokens_max"] <= LENGTH
        assert row["cal/asked"] == tally.judged == sum(c.metrics["asked"] for c in credited)
        assert row["cal/credit_share"] == pytest.approx(np.mean([c.metrics["credit_share"] for c in credited]))
        assert row["seconds"] > 0
    assert sum(tally.found for tally in told.tallies) > UPDATES
    assert sum(tally.credited_tokens for tally in told.tallies) > 0
    assert told.rows[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert told.rows[-1]["kl"] > 1e-4  # away from a reference that stays where it was
    assert sum(row["grad_norm"] for row in told.rows) > 1e-3


def test_the_saved_policy_loads_in_transformers_and_answers_as_the_trained_one(world):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    policy = world.root / "whole" / "policy"
    original, trained = tensors(world.folder), tensors(policy)
    assert {name: array.shape for name, array in trained.items()} == {name: array.shape for name, array in original.items()}
    assert any(not np.array_equal(array, original[name]) for name, array in trained.items())
    ids = torch.tensor([AutoTokenizer.from_pretrained(policy).encode("2 + 2 = 4")])
    with torch.no_grad():
        assert AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)(ids).logits.isfinite().all()
    engine = world.open(model_id=str(policy))
    again = [answered for batch in engine.answers(0, lambda done: None) for answered in batch]
    engine.close()
    assert again == world.whole.after


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(world):
    stopped = world.trained("stopped", should_stop=lambda told: len(told.rows) == 2)
    assert (stopped.made, [row["step"] for row in stopped.rows]) == (2, [1, 2])
    engine, run = engine_of(world.name), world.root / "stopped"
    found = engine.find_checkpoint(run)
    assert (found.update, found.damaged) == (2, [])
    not_now = world.trained("stopped", should_stop=lambda told: True)
    assert (not_now.made, not_now.rows, not_now.credited) == (2, [], [])
    assert not_now.after == stopped.after
    resumed = world.trained("stopped")
    assert engine.find_checkpoint(run).update == resumed.made == UPDATES
    for row, expected in zip([*stopped.rows, *resumed.rows], world.whole.rows, strict=True):
        for name in expected:
            # An oracle that is new remembers nothing: it is a run that hands it what was said before.
            if name not in ("seconds", "compile_seconds", "cal/cached") and "latency" not in name:
                np.testing.assert_allclose(row[name], expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
    for name, array in tensors(world.root / "whole" / "policy").items():
        np.testing.assert_allclose(tensors(run / "policy")[name], array, rtol=1e-5, atol=1e-7, err_msg=name)
    finished = world.trained("stopped")
    assert (finished.made, finished.rows) == (UPDATES, [])


def test_between_updates_it_answers_and_saves_what_it_has_learned_so_far_and_trains_on_as_if_nobody_had_asked(world):
    answered = []

    def between(told):
        if len(told.rows) == 2:
            answered.extend(one for batch in told.engine.answers(0, lambda done: None) for one in batch)
            told.engine.save_policy(world.root / "between" / "middle")
        return False

    told = world.trained("between", should_stop=between)
    stopped = world.trained("two", should_stop=lambda told: len(told.rows) == 2)
    assert told.made == UPDATES
    assert answered == stopped.after
    for name, same_as in (("between/middle", "two/policy"), ("between/policy", "whole/policy")):
        expected = tensors(world.root / same_as)
        for tensor, array in tensors(world.root / name).items():
            np.testing.assert_allclose(array, expected[tensor], rtol=1e-5, atol=1e-7, err_msg=f"{name} {tensor}")


ONE_EACH = {"num_generations": 1, "baseline": "batch", "batch_size": 4, "num_train_steps": 2, "rollout.max_new_tokens": 12}


def vowels(prompts, completions, **columns):
    """A reward that tells a random policy's answers apart."""
    return [sum(text.count(vowel) for vowel in "aeiou") / 4 for text in completions]


def test_one_answer_a_question_is_compared_with_all_of_its_update_whatever_the_micro_batches(world):
    """And a training that was stopped goes on with it."""
    layout = ONE_EACH | {"credit": "grpo", "train_end_token": False}
    whole = world.trained("in-one", reward_fns=[vowels], **layout, micro_batch_size=4)
    divided = world.trained("in-four", lambda told: bool(told.rows), [vowels], **layout, micro_batch_size=1)
    assert (whole.made, divided.made) == (2, 1)
    for told, parts in ((whole, 2), (divided, 4)):
        assert [step for step, _ in told.credited] == ([1, 2] if parts == 2 else [1] * 4)
        first = [c for step, c in told.credited if step == 1]
        rewards_B = np.array([j.completion.reward for c in first for j in c.judged])
        assert len({j.completion.question for c in first for j in c.judged}) == 4
        assert rewards_B.std() > 0
        expected_B = (rewards_B - rewards_B.mean()) / (rewards_B.std(ddof=1) + 1e-6)
        rows = [row_T[: len(j.completion.token_ids)] for c in first for row_T, j in zip(c.advantages_BT, c.judged, strict=True)]
        for row_T, expected in zip(rows, expected_B, strict=True):
            np.testing.assert_allclose(row_T, expected, rtol=1e-4)
        assert all(math.isfinite(value) for row in told.rows for value in row.values())
    texts = [[j.text for step, c in told.credited if step == 1 for j in c.judged] for told in (whole, divided)]
    assert texts[0] == texts[1]  # sampled in one go
    resumed = world.trained("in-four", reward_fns=[vowels], **layout, micro_batch_size=1)
    assert (resumed.made, [row["step"] for row in resumed.rows], len(resumed.credited)) == (2, [2], 4)


def test_a_closed_engine_is_let_go_with_its_policy(world):
    engine = world.open()
    list(engine.answers(0, lambda done: None))
    engine.close()
    closed = weakref.ref(engine)
    del engine
    gc.collect()
    assert closed() is None


def test_checkpoints_of_which_none_can_be_read_are_left_where_they_are(world, tmp_path):
    run = shutil.copytree(world.root / "whole", tmp_path / "run")
    for file in (run / "checkpoints").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    before = sorted(run.rglob("*"))
    with pytest.raises(UsageError, match="no checkpoint can be read"):
        engine_of(world.name).find_checkpoint(run)
    assert sorted(run.rglob("*")) == before


def raises(*_):
    raise RuntimeError("the listener's own bug")


@pytest.mark.parametrize("who", ["oracle", "on_credit", "on_metrics"])
def test_a_late_error_surfaces_and_nothing_is_told_after_the_end(world, tmp_path, who):
    told = Told()
    with CALOracle(Fails() if who == "oracle" else BlamesStarts()) as oracle:
        engine = world.open(oracle)
        engine.start(
            tmp_path / "run",
            raises if who == "on_credit" else told.on_credit,
            raises if who == "on_metrics" else told.on_metrics,
        )
        with pytest.raises(RuntimeError, match="own bug"):
            engine.learn(lambda: False)
        engine.close()
        engine.close()
    assert told.rows == []


def test_what_is_raised_between_updates_surfaces_and_nothing_hangs(world, tmp_path):
    told = Told()
    with CALOracle(BlamesStarts()) as oracle:
        engine = world.open(oracle)
        engine.start(tmp_path / "run", told.on_credit, told.on_metrics)
        with pytest.raises(RuntimeError, match="own bug"):
            engine.learn(lambda: bool(told.rows) and raises())
        engine.close()
    assert [row["step"] for row in told.rows] == [1]


def test_a_checkpoint_that_cannot_be_trained_and_prompts_that_do_not_fit_are_one_line(world, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"config\.json") as error:
        world.open(model_id=str(tmp_path / "empty"))
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match=r"longer than rollout\.max_prompt_tokens=3"):
        world.open(**{"rollout.max_prompt_tokens": 3})
