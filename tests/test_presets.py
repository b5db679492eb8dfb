"""Settings that come with the package."""

import pytest

from cal_grpo.config import load_config, presets
from cal_grpo.errors import UsageError


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_a_config_and_says_what_it_is_for(name):
    load_config(preset=name)
    assert presets()[name].endswith(".")


def test_a_file_wins_over_a_preset_and_an_override_over_both(tmp_path):
    (tmp_path / "mine.yaml").write_text("rollout: {max_new_tokens: 64}\nlearning_rate: 3.0e-6\n")
    config = load_config(tmp_path / "mine.yaml", {"learning_rate": 5e-6, "rollout.temperature": 0.7}, "language-model")
    assert (config.rollout.max_new_tokens, config.rollout.max_prompt_tokens, config.rollout.temperature) == (64, 256, 0.7)
    assert (config.learning_rate, config.credit, config.batch_size) == (5e-6, "even", 4)


def test_the_demo_and_grpo_beside_it_sample_as_many_answers():
    demo, grpo = load_config(preset="demo"), load_config(preset="demo-grpo")
    assert demo.batch_size * demo.num_generations == grpo.batch_size * grpo.num_generations == 64
    assert (demo.num_train_steps, demo.ledger, demo.learning_rate) == (grpo.num_train_steps, grpo.ledger, grpo.learning_rate)


def test_an_unknown_preset_is_one_line_that_names_the_nearest():
    with pytest.raises(UsageError, match=r"preset is 'demos'; expected one of demo, .*; did you mean 'demo'\?$"):
        load_config(preset="demos")
