"""Plans: grids multiplied out, and mistakes said in one line."""

from pathlib import Path

import pytest

from cal_grpo.errors import UsageError
from study.plan import load_plan

PLANS = Path(__file__).parents[1] / "plans"


@pytest.fixture
def write(tmp_path):
    def written(text):
        file = tmp_path / "plan.yaml"
        file.write_text(text)
        return file

    return written


def test_lists_are_multiplied_out_the_last_one_fastest(write):
    plan = load_plan(
        write(
            "defaults: {steps: 8, updates: 5}\n"
            "trials:\n- {seed: [0, 1], learning_rate: 1.0e-4, credit: [grpo, prefix]}\n"
            "- {seed: 0, learning_rate: 1.0e-4, credit: grpo, updates: 7}\n"
        )
    )
    assert [(t.seed, t.credit, t.updates) for t in plan.trials] == [
        (0, "grpo", 5), (0, "prefix", 5), (1, "grpo", 5), (1, "prefix", 5), (0, "grpo", 7),
    ]  # fmt: skip
    assert (plan.held_out, plan.group_size) == (512, 8)


def test_a_trial_that_is_named_twice_is_run_once(write):
    plan = load_plan(write("trials:\n" + 2 * "- {seed: 0, steps: 4, learning_rate: 1.0e-4, credit: grpo}\n"))
    assert len(plan.trials) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("trials: [{seed: 0, steps: 4, learning_rate: 1, credit: grop}]", "did you mean 'grpo'"),
        ("trials: [{seed: 0, steps: 4, credit: grpo}]", "incomplete"),
        ("trials: [{seeds: 0}]", "unknown field 'seeds'"),
        ("trials: [{seed: 0, steps: x, learning_rate: 1, credit: grpo}]", "a trial steps is 'x': .* valid integer"),
        ("trials: [{seed: 0, steps: 4, learning_rate: -1, credit: grpo}]", "a trial learning_rate is -1: .* greater than 0"),
        ("trials: [{seed: 0, steps: 4, learning_rate: 1, credit: [{a: 1}]}]", "a trial credit is {'a': 1}"),
        ("trials: [1]", "got 1 as defaults or a trial"),
        ("trials: []\ndefaults: 3", "got 3 as defaults or a trial"),
        ("trials: []\nheld_out: many", "held_out is 'many'"),
        ("trials: []\n3: many", "unknown key '3'"),
        ("trails: []", "no list of trials"),
        ("trials: []\nupdates: 3", "unknown key 'updates'"),
        ("trials: [", "cannot be read as YAML"),
    ],
)
def test_a_mistake_is_one_line(write, text, complaint):
    with pytest.raises(UsageError, match=complaint) as caught:
        load_plan(write(text))
    assert "\n" not in str(caught.value)


def test_a_missing_plan_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="check the path"):
        load_plan(tmp_path / "none.yaml")


@pytest.mark.parametrize("file", sorted(PLANS.glob("*.yaml")), ids=lambda file: file.stem)
def test_our_own_plans_are_read(file):
    assert load_plan(file).trials
