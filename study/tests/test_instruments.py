"""The study's two instruments on a toy policy."""

import contextlib
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cal_grpo.cli import run_app
from study.commands import app
from study.gradient import Measurement, _credits, _gradients, measure, save
from study.many import train_one
from study.plan import Plan
from study.simulator.learn import token_logps
from study.trial import Trial
from study.world import World


@pytest.fixture
def world(toy_folder):
    return World(str(toy_folder), steps=1, group_size=4, held_out=6)


def test_a_training_depends_on_its_trial_alone(toy_folder):
    plan = Plan([], held_out=6, group_size=4)
    make = functools.partial(
        Trial, "grpo", 1, 1e-3, policy=str(toy_folder), updates=3, evaluate_every=2, batch_size=2, pass_questions=2, pass_k=4
    )
    first, again, other = (train_one(plan, make(seed=seed)) for seed in (0, 0, 1))
    assert [row["update"] for row in first] == [0, 2, 3]
    assert [row["tokens"] for row in first[1:]] == [row["tokens"] for row in again[1:]]
    assert [row["entropy"] for row in first[1:]] == [row["entropy"] for row in again[1:]]
    assert [row["entropy"] for row in first[1:]] != [row["entropy"] for row in other[1:]]
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours["held_out"], theirs["held_out"])
    assert first[1]["kl"] >= 0
    assert first[-1]["right_of_k"].shape == (2,)
    assert first[1]["tokens"] == pytest.approx(2 * 8 * first[1]["length"])


def test_gradients_of_all_weightings_equal_their_own(world):
    credits, tokens = _credits(world, ["nsr", "grpo"], next(world.training(0, 2)), None, 0, 0)
    weights = np.random.default_rng(0).normal(size=credits.shape)
    found = _gradients(world, tokens, weights)

    @jax.jit
    @jax.grad
    def gradient(params, weights_BT):
        logps_BT, _ = token_logps(params, world.shape, tokens, 1.0)
        return jnp.where(tokens.mask_BT, logps_BT * weights_BT, 0).sum()

    for weights_BT, gradient_P in zip(weights, found, strict=True):
        expected = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient(world.params, weights_BT))])
        np.testing.assert_allclose(gradient_P, expected, rtol=2e-3, atol=2e-4)


def test_every_formula_is_measured_on_the_same_batches(world):
    *_, (batch, measured, gram_KK) = measure(world, ["grpo", "nsr", "w_reinforce"], 3, 2, 1, batch_size=2, seed=0)
    assert batch == 2
    assert gram_KK.shape == (2, 2)
    for m in measured.values():
        assert m.dots_NK.shape == (3, 2)
        assert m.before_N[0] == 0
    # A toy is never right: both formulas push all tokens down alike.
    np.testing.assert_allclose(measured["nsr"].squares_N, measured["w_reinforce"].squares_N)
    assert measured["nsr"].shares_N == pytest.approx(1)


def test_the_commands_say_what_they_do(toy_folder, tmp_path, monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr("sys.argv", ["study", *words])
        with contextlib.suppress(SystemExit):
            run_app(app, "study")
        return "".join(capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    trial = f"{{credit: grpo, steps: 1, learning_rate: 1.0e-3, seed: 0, policy: {toy_folder}, updates: 1, batch_size: 2}}"
    (tmp_path / "small.yaml").write_text(f"held_out: 6\ngroup_size: 4\ntrials: [{trial}]\n")
    assert "1 of 1: grpo, 1 steps" in run("train", "small.yaml")
    assert "1 trials, 1 done" in run("train", "small.yaml")
    ones = Measurement(dots_NK=np.ones((2, 2)), squares_N=np.ones(2), before_N=np.ones(2), shares_N=np.ones(2))
    save(Path("study/results/gradient/1.csv"), {"grpo": ones}, np.full((2, 2), 2.0))
    assert "## Gradients, 1" in run("tables")
    assert "nothing to draw" in run("figures")  # no learning rate was chosen: nothing to compare
    numbers = ["--estimates", "2", "--per-estimate", "1", "--credit", "nsr"]
    assert "right now and then" in run("gradient", "--steps", "1", "--policy", str(toy_folder), *numbers)  # a toy never is
