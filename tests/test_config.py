import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.config import TrainConfig, described_keys, known_keys, load_config, parse_override
from cal_grpo.credit import FORMULAS
from cal_grpo.errors import UsageError


def test_overrides_win_over_the_file_and_reach_into_sections(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("seed: 3\nlearning_rate: 1.0e-5\nrollout:\n  temperature: 0.5\n  top_p: 0.9\n")
    config = load_config(file, {"learning_rate": 2e-5, "rollout.temperature": 0.7})
    assert (config.seed, config.learning_rate) == (3, 2e-5)
    assert (config.rollout.temperature, config.rollout.top_p) == (0.7, 0.9)


def test_a_resolved_config_is_read_back_as_it_was(tmp_path):
    config = load_config(overrides={"data": "x.jsonl", "oracle.few_shot": "shots.json", "cal_model": "m"}).fitted(99, 77)
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "config.yaml") == config
    assert config.data == Path("x.jsonl")


def test_a_resolved_lora_section_is_read_back_and_its_scale_is_alpha_over_rank(tmp_path):
    assert load_config().lora.rank is None
    config = load_config(overrides={"lora.rank": 8, "lora.modules": ["q_proj", "v_proj"], "mesh.fsdp": 2})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "config.yaml") == config
    assert (config.lora.scale, config.lora.modules) == (2.0, ("q_proj", "v_proj"))
    assert load_config(overrides={"lora.rank": 8, "lora.alpha": 4}).lora.scale == 0.5


def test_lengths_that_were_given_are_not_fitted():
    config = load_config(overrides={"rollout.max_prompt_tokens": 10}).fitted(99, 77)
    assert (config.rollout.max_prompt_tokens, config.rollout.max_new_tokens) == (10, 77)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learning_rate=1e-4", ("learning_rate", 1e-4)),
        ("use_cal=false", ("use_cal", False)),
        ("on_miss=null", ("on_miss", None)),
        ("seed=7", ("seed", 7)),
        ("credit=balanced", ("credit", "balanced")),
        ("tracker=wandb,trackio", ("tracker", "wandb,trackio")),
        ("output_dir=2026-11-27", ("output_dir", "2026-11-27")),
        ("output_dir=007", ("output_dir", "007")),
        ("output_dir=null", ("output_dir", None)),
        ("data=", ("data", None)),
        ("cal_model=4", ("cal_model", "4")),
        ("cal_model=1e5", ("cal_model", "1e5")),
        ("cal_model=null", ("cal_model", None)),
        ("cal_model=true", ("cal_model", "true")),
        ("task=null", ("task", "null")),
        ("chat.answer_format=End with #### and the answer", ("chat.answer_format", "End with #### and the answer")),
        ("chat.answer_format=Answer: 4", ("chat.answer_format", "Answer: 4")),
        ("chat.answer_format=[x]", ("chat.answer_format", "[x]")),
        (r'chat.system="one\ntwo"', ("chat.system", "one\ntwo")),
        ("chat.system=", ("chat.system", "")),
        ("oracle.cache=false", ("oracle.cache", False)),
        ("oracle.cache=7.db", ("oracle.cache", "7.db")),
        ("trl.run_name=2026-11-27", ("trl.run_name", "2026-11-27")),
        ("cal_base_url=http://127.0.0.1:8000/v1?a=b", ("cal_base_url", "http://127.0.0.1:8000/v1?a=b")),
    ],
)
def test_override_values_mean_what_their_key_takes(text, expected):
    assert parse_override(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tensorboard,wandb", ("tensorboard", "wandb")),
        (" wandb , wandb ", ("wandb",)),
        (["trackio", "tensorboard"], ("trackio", "tensorboard")),
        ("none", ()), ("", ()), (None, ()), ([], ()), (["none"], ()), (False, ()),
    ],
)  # fmt: skip
def test_trackers_are_a_list_or_a_text_with_commas_or_none(tmp_path, value, expected):
    config = load_config(overrides={"tracker": value})
    assert config.tracker == expected
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"tracker": 3}, "tracker = 3"),
        ({"tracker": [3]}, "tracker.0 = 3"),
        ({"lerning_rate": 1}, "unknown config key 'lerning_rate'; did you mean 'learning_rate'?"),
        ({"rollout.temprature": 1}, "unknown config key 'rollout.temprature'; did you mean 'rollout.temperature'?"),
        ({"credit": "balnced"}, "did you mean 'balanced'"),
        ({"num_generations": 1}, "a group of one has no baseline; set baseline=batch or num_generations to 2 or more"),
        ({"num_generations": 0, "baseline": "batch"}, "num_generations is 0; expected 1 or more"),
        ({"num_generations": 1, "batch_size": 1, "baseline": "batch"}, "an update has 1 answer"),
        ({"use_cal": False, "num_generations": 1}, "use_cal is false with baseline=group and num_generations=1"),
        ({"use_cal": False, "baseline": "batch"}, "the engine's own trainer has groups of 2 or more answers"),
        ({"baseline": "all"}, "baseline = 'all'"),
        ({"batch_size": 8, "micro_batch_size": 3}, "3 does not divide batch_size 8"),
        ({"batch_size": 8, "rollout.micro_batch_size": 3}, "rollout.micro_batch_size 3 does not divide batch_size 8"),
        ({"mesh.fsdp": 16, "rollout.micro_batch_size": 1}, "does not divide the 8 answers of a call of the sampler"),
        ({"negative_reward": 0.5}, "negative_reward is 0.5; expected a number below 0"),
        ({"negative_reward": 0}, "expected a number below 0"),
        ({"prefix_reward": -0.1}, "prefix_reward is -0.1; expected a number >= 0"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast'"),
        ({"cal_base_url": "http://me:hush@judge/v1"}, "cal_base_url holds a user or password"),
        ({"seed": 2**32}, "seed = 4294967296"),
        ({"learning_rate": float("inf")}, "learning_rate = inf"),
        ({"prefix_reward": float("nan")}, "prefix_reward = nan"),
        ({"on_miss": "ignore"}, "on_miss = 'ignore'"),
        ({"seed": 2, "seed.x": 1}, "seed.x: seed is a value, not a section"),
        ({"rollout": 3}, "rollout = 3"),
        ({"lora.save_adapter": True}, "lora.save_adapter is set and lora.rank is not; set lora.rank, such as 8"),
        ({"lora.modules": ["q_proj"]}, "lora.modules is set and lora.rank is not"),
        ({"lora.rank": 8, "lora.modules": ["qproj"]}, "lora.modules.0 = 'qproj'"),
        ({"lora.rank": 8, "lora.modules": []}, "lora.modules = []"),
        ({"lora.rank": 0}, "lora.rank = 0"),
        ({"mesh.fsdp": 3}, "mesh.fsdp 3 does not divide the 64 answers of a forward pass"),
        ({"mesh.fsdp": 4, "micro_batch_size": 1, "num_generations": 6}, "mesh.fsdp 4 does not divide the 6 answers"),
        ({"mesh.dp": 2}, "unknown config key 'mesh.dp'; did you mean 'mesh.fsdp'?"),
        ({"lora.xyzzy": 2}, "unknown config key 'lora.xyzzy'; see cal-grpo train --keys"),
        ({"rollout": 5}, "rollout = 5: is a section, not a key; expected keys of it, such as rollout.max_prompt_tokens"),
        ({"lora.rank": 10**400}, "expected at most 4611686018427387904"),
        ({"max_eval_samples": 2**64}, "max_eval_samples = 18446744073709551616: expected at most 4611686018427387904"),
        ({"tracker": [["tensorboard"]]}, "tracker.0 = ['tensorboard']: Input should be a valid string"),
        ({"temperature": 1}, "unknown config key 'temperature'; did you mean 'rollout.temperature'?"),
        ({"rolout.temperature": 1}, "unknown config key 'rolout'; did you mean 'rollout'?"),
        (
            {"output_dir": "$NO_SUCH_VARIABLE/x"},
            "output_dir = '$NO_SUCH_VARIABLE/x': path $NO_SUCH_VARIABLE/x: $NO_SUCH_VARIABLE is ",
        ),
    ],
)
def test_bad_values_are_one_line_that_names_the_key(overrides, message):
    with pytest.raises(UsageError, match=r"^[^\n]*$") as error:
        load_config(overrides=overrides)
    assert message in str(error.value)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"run.yaml: no such file; expected a YAML file of keys"),
        (
            "seed: 1\n rollout:\n  top_p: 1\n",
            r"run.yaml, line 2: not YAML \(mapping values are not allowed here\); check the ind",
        ),
        ("seed: 1\nrollout:\n\ttop_p: 1\n", r"run.yaml, line 3: not YAML \(found character '\\t' that cannot start"),
        ("a: [", r"run.yaml, line 1: not YAML"),
        ("seed: 1\nrollout: {top_p: 1}\nseed: 2\n", r"run.yaml, line 3: seed stands there twice; leave one$"),
        ("rollout:\n  top_p: 1\n  top_p: 0.9\n", r"run.yaml, line 3: top_p stands there twice; leave one$"),
        ("cal_model: 4", "cal_model = 4: Input should be a valid string; expected text, put it in quotes"),
        (b"\xff", "cannot be read as YAML"),
        ("- 1", "holds a list"),
    ],
)
def test_a_file_that_is_no_config_is_one_line(tmp_path, content, message):
    file = tmp_path / "run.yaml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=message) as error:
        load_config(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "=1", "seed"])
def test_an_override_without_key_or_value_is_one_line(text):
    with pytest.raises(UsageError, match="expected key=value"):
        parse_override(text)


def test_every_key_is_described():
    for key in known_keys():
        section, _, inner = key.partition(".")
        field = TrainConfig.model_fields[section]
        assert (field.annotation.model_fields[inner] if inner else field).description, key


@given(st.text(max_size=30))
def test_no_override_ends_in_a_traceback(text):
    with contextlib.suppress(UsageError):
        key, value = parse_override(text)
        load_config(overrides={key: value})


def test_yaml_holds_plain_data_only():
    assert isinstance(yaml.safe_load(TrainConfig().to_yaml()), dict)


def test_paths_and_folders_of_models_mean_what_a_shell_makes_of_them(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch")
    paths = ("data", "output_dir", "model_id", "cal_model", "oracle.few_shot", "oracle.replay", "oracle.prices", "oracle.cache")
    config = load_config(overrides=dict.fromkeys(paths, "~/$SCRATCH/${SCRATCH}x"))
    for key in paths:
        section, _, inner = key.rpartition(".")
        value = getattr(getattr(config, section) if section else config, inner)
        assert str(value) == "/home/me//scratch//scratchx".replace("//", "/"), key
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "config.yaml") == config
    assert load_config(overrides={"model_id": "org/name", "cal_model": "gpt-5"}).model_id == "org/name"


def test_a_path_that_is_there_is_meant_as_it_is_written(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "$x").mkdir()
    assert load_config(overrides={"output_dir": "$x"}).output_dir == Path("$x")


def test_a_missing_file_and_a_folder_name_the_nearest(tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: 1\n")
    with pytest.raises(UsageError, match=r"mien.yaml: no such file; .*; did you mean .*mine.yaml\?$"):
        load_config(tmp_path / "mien.yaml")
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    with pytest.raises(UsageError, match=r"is a folder; expected a YAML file of keys, such as .*config.yaml$"):
        load_config(tmp_path)


def test_what_yaml_takes_for_a_boolean_is_the_choice_of_that_name(tmp_path):
    (tmp_path / "run.yaml").write_text("preset: demo\ncorrections: off\n")
    assert load_config(tmp_path / "run.yaml").corrections == "off"
    assert load_config(overrides=dict([parse_override("corrections=off")])).corrections == "off"
    with pytest.raises(UsageError, match="corrections = True: Input should be 'off'"):
        load_config(overrides=dict([parse_override("corrections=on")]))


def test_a_nearest_file_is_near_in_its_name_not_in_its_ending(tmp_path):
    (tmp_path / "bin.yaml").write_text("seed: 1\n")
    with pytest.raises(UsageError, match=r"\(cal-grpo train --keys\)$"):
        load_config(tmp_path / "missing.yaml")


def test_a_section_whose_keys_are_all_commented_out_is_the_default(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("seed: 1\nrollout:\n#  top_p: 0.9\n")
    assert load_config(file) == TrainConfig(seed=1)
    assert load_config(file, {"rollout.top_p": 0.5}).rollout.top_p == 0.5


def test_choices_are_shown_with_their_keys():
    described = {key: meaning for key, _, meaning in described_keys()}
    assert described["oracle.style"].endswith("One of: direct, repair, steps.")
    assert described["on_miss"].endswith("One of: mean, drop, grpo, raise.")
    assert "One of: q_proj, k_proj" in described["lora.modules"]
    assert all(name in described["credit"] for name in FORMULAS)
    assert "One of" not in described["seed"] + described["tracker"] + described["oracle.cache"]
