"""Resets: wrong answers taken up again before their first wrong step."""

from types import SimpleNamespace

import numpy as np
import pytest

from cal_grpo.alignment import Miss, TokenSpan
from study.second import resets
from study.second.arm import Arm
from study.simulator import Learner, LossSettings, Rollouts, pad_prompts
from study.trial import OPTIMIZER
from study.world import World


@pytest.fixture
def world(toy_folder):
    return World(str(toy_folder), steps=1, group_size=1, held_out=4)


def span(start, end):
    return TokenSpan(start, end, char_start=0, char_end=1, method="exact", score=1.0)


def judged(ids, outcome):
    return SimpleNamespace(completion=SimpleNamespace(token_ids=ids), outcome=outcome)


def test_endings_of_wrong_answers_go_on_behind_what_was_kept(world):
    questions = world.first_training(0, 3)
    credited = SimpleNamespace(
        judged=[judged([7, 8, 9], None), judged([10, 11, 12, 13], span(2, 4)), judged([5], Miss("not_found"))]
    )
    assert resets.kept_tokens(credited) == {1: 2}
    found = resets.endings(world, world.params, questions, credited, 4, seed=0, update=1)
    begun = [*questions[1].prompt_ids, 10, 11]
    assert found.prompts.ids_QP[0][found.prompts.mask_QP[0]].tolist() == begun
    assert found.rollouts.lengths_B.shape == (12,)
    assert not found.rollouts.lengths_B[4:].any()
    assert not found.rollouts.ended_B[4:].any()
    assert not found.advantages_BT[4:].any()
    assert found.correct_B.shape == (4,)


@pytest.mark.parametrize("graded", [[True, False, False, False], [True, True, False, False], [False] * 4])
def test_endings_of_one_answer_learn_from_one_another(world, graded, monkeypatch):
    results = iter(graded)
    monkeypatch.setattr(resets, "grade_answer", lambda text, answer: SimpleNamespace(correct=next(results)))
    credited = SimpleNamespace(judged=[judged([7, 8, 9], span(1, 3)), judged([5], None)])
    found = resets.endings(world, world.params, world.first_training(0, 2), credited, 4, seed=0, update=1)
    rewards = np.array(graded, float)
    expected = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)
    lengths = found.rollouts.lengths_B + found.rollouts.ended_B
    for row in range(4):
        assert found.advantages_BT[row, : lengths[row]] == pytest.approx(expected[row])
        assert not found.advantages_BT[row, lengths[row] :].any()


def test_no_wrong_answer_leaves_nothing_to_learn(world):
    credited = SimpleNamespace(judged=[judged([7, 8], None)])
    found = resets.endings(world, world.params, world.first_training(0, 1), credited, 2, seed=0, update=1)
    assert not found.advantages_BT.any()
    assert not len(found.correct_B)


def test_learning_an_ending_is_learning_the_whole_answer_with_credit_on_its_end_alone(world):
    rng = np.random.default_rng(0)
    asked, kept, ends = rng.integers(5, 200, 6).tolist(), rng.integers(5, 200, 4).tolist(), rng.integers(5, 200, 9)
    advantages = rng.normal(size=9).astype(np.float32)

    def gradient_norm(prompt, ids, credit):
        ids_BT = np.asarray(ids, np.int32)[None]
        rollouts = Rollouts(ids_BT, np.array([len(ids)]), np.zeros(ids_BT.shape), np.zeros(1, bool))
        learner = Learner(world.params, world.shape, OPTIMIZER, LossSettings(beta=0.0), 1e-3)
        return (
            learner.update(pad_prompts([prompt], 12, pad_id=0), rollouts, np.asarray(credit, np.float32)[None])["grad_norm"]
            * len(ids)  # the loss is a mean over these
        )

    whole = gradient_norm(asked, [*kept, *ends], [0, 0, 0, 0, *advantages])
    assert whole == pytest.approx(gradient_norm([*asked, *kept], ends, advantages), rel=1e-4)


@pytest.mark.parametrize(
    "settings", [{"resets": 1}, {"resets": 4, "answers": 8}, {"resets": 4, "rows": "rest"}, {"resets": 4, "credit": "grpo"}]
)
def test_an_arm_of_resets_learns_endings_alone(settings):
    with pytest.raises(ValueError, match="two endings or more"):
        Arm(**({"credit": "none", "questions": 4, "answers": 1} | settings))


def test_an_arm_of_resets_has_a_name():
    assert str(Arm("none", 24, 1, resets=4)) == "none 24 × 1, 4 resets"
