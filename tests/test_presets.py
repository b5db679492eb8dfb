"""Settings that come with the package, named or chosen by the size of a model."""

import json
import math

import pytest
import yaml
from _judge_server import JudgeServer, Reply
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.config import EMBEDDED, TrainConfig, load_config, presets
from cal_grpo.errors import UsageError
from cal_grpo.policies import parameters_in, parameters_of
from cal_grpo.runs import chosen_config, resumed_config


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_a_config_and_says_what_it_is_for(name):
    assert load_config(preset=name) == load_config(overrides={"preset": name}) == TrainConfig(preset=name)
    assert presets()[name].endswith(".")


def test_a_file_wins_over_a_preset_and_an_override_over_both(tmp_path):
    (tmp_path / "mine.yaml").write_text("rollout: {max_new_tokens: 64}\nlearning_rate: 3.0e-6\n")
    config = load_config(tmp_path / "mine.yaml", {"learning_rate": 5e-6, "rollout.temperature": 0.7}, "language-model")
    assert (config.rollout.max_new_tokens, config.rollout.max_prompt_tokens, config.rollout.temperature) == (64, 256, 0.7)
    assert (config.learning_rate, config.credit, config.batch_size) == (5e-6, "even", 4)
    in_python = TrainConfig(preset="language-model", rollout=config.rollout.model_copy(update={"temperature": 0.7}))
    assert in_python.rollout == config.rollout


def test_a_file_names_its_preset_and_the_option_wins(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: demo\nlora: {rank: 4}\n")
    demo, model = (load_config(tmp_path / "mine.yaml", preset=name) for name in (None, "language-model"))
    assert (demo.preset, demo.batch_size, demo.lora.rank) == ("demo", 64, 4)
    assert (model.preset, model.batch_size, model.lora.rank) == ("language-model", 4, 4)
    assert load_config(tmp_path / "mine.yaml", preset="none").batch_size == 8


def test_the_demo_and_grpo_beside_it_sample_as_many_answers():
    demo, grpo = load_config(preset="demo"), load_config(preset="demo-grpo")
    assert demo.batch_size * demo.num_generations == grpo.batch_size * grpo.num_generations == 64
    assert (demo.num_train_steps, demo.ledger, demo.learning_rate) == (grpo.num_train_steps, grpo.ledger, grpo.learning_rate)


def test_an_unknown_preset_is_one_line_that_names_the_nearest():
    with pytest.raises(UsageError, match=r"preset is 'demos'; expected one of demo, .*, none; did you mean 'demo'\?$"):
        load_config(preset="demos")
    with pytest.raises(UsageError, match="preset is 4; expected one of"):
        load_config(overrides={"preset": 4})


def write_header(file, shapes, **more):
    """A safetensors file without its tensors' bytes: nobody reads them."""
    file.parent.mkdir(exist_ok=True)
    header = {f"{file.stem}.{i}": {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for i, shape in enumerate(shapes)}
    text = json.dumps(header | {"__metadata__": {"format": "pt"}} | more).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text)


@pytest.fixture
def model(tmp_path):
    """``model(parameters) -> folder`` of a model of that size, as far as its header goes."""

    def make(parameters, name="model"):
        write_header(tmp_path / name / "model.safetensors", [[parameters // 1000, 1000]])
        return str(tmp_path / name)

    return make


@given(st.lists(st.lists(st.integers(0, 50), max_size=3), min_size=1, max_size=4))
def test_parameters_are_counted_from_headers(tmp_path_factory, shapes):
    folder = tmp_path_factory.mktemp("model")
    for i, shape in enumerate(shapes):
        write_header(folder / f"model-{i}.safetensors", [shape])
    assert parameters_in(folder) == sum(math.prod(shape) for shape in shapes)


def test_the_embedded_policys_parameters_are_those_of_its_tensors():
    assert parameters_of(EMBEDDED) == 579_552


def test_an_index_says_which_files_count(tmp_path):
    write_header(tmp_path / "a.safetensors", [[2, 3]])
    write_header(tmp_path / "b.safetensors", [[100]])
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"t0": "a.safetensors"}}')
    assert parameters_in(tmp_path) == 6


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b'\x09\0\0\0\0\0\0\0{"t": {}}', b"\x05\0\0\0\0\0\0\0{}"]
)
def test_a_damaged_header_is_one_line(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    if content.endswith(b"{}"):  # shorter than it says, and whole
        assert parameters_in(tmp_path) == 0
        return
    with pytest.raises(
        UsageError, match=r"model.safetensors: cannot be read as safetensors \(.*\); download or convert it"
    ) as e:
        parameters_in(tmp_path)
    assert "\n" not in str(e.value)


def test_a_language_models_settings_are_chosen_by_its_size_said_and_kept(model):
    config, said = chosen_config(overrides={"model_id": model(135_000_000), "num_train_steps": 7})
    assert config == load_config(overrides={"model_id": config.model_id, "num_train_steps": 7}, preset="language-model")
    assert (config.lora.rank, config.micro_batch_size, config.learning_rate, config.num_train_steps) == (16, 1, 1e-5, 7)
    assert said.startswith("settings for a language model of 135 M parameters: preset language-model, below your own; --preset")
    assert "\n" not in said
    assert "1.5 B parameters" in chosen_config(overrides={"model_id": model(1_543_714_000)})[1]
    kept = yaml.safe_load(config.to_yaml())
    assert kept["preset"] == "language-model"


def test_nothing_is_chosen_for_a_small_policy_or_where_one_is_named(model, tmp_path):
    plain = TrainConfig().model_copy(update={"preset": "none"})
    assert chosen_config() == (plain, None)
    small = model(19_999_000, "small")
    assert chosen_config(overrides={"model_id": small}) == (plain.model_copy(update={"model_id": small}), None)
    large = model(20_000_000)
    assert chosen_config(overrides={"model_id": large}, preset="none") == (load_config(None, {"model_id": large}, "none"), None)
    assert chosen_config(overrides={"model_id": large, "preset": "demo"})[0].batch_size == 64
    (tmp_path / "config.yaml").write_text(load_config(overrides={"model_id": large}).fitted(9, 9).to_yaml())  # has every key
    assert chosen_config(tmp_path / "config.yaml") == (load_config(tmp_path / "config.yaml", preset="none"), None)


def test_a_chosen_config_is_read_back_as_it_was_and_resumed_without_its_preset(model, tmp_path):
    config, _ = chosen_config(overrides={"model_id": model(50_000_000), "output_dir": str(tmp_path / "run")})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(config.to_yaml())
    assert chosen_config(tmp_path / "run" / "config.yaml") == (config, None)
    assert resumed_config(tmp_path / "run", {}) == config
    # Whatever the preset is by now, a run goes on with the keys that it has, and the defaults of those that came since.
    kept = yaml.safe_load(config.to_yaml())
    del kept["remat"]
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(kept | {"preset": "gone"}))
    assert resumed_config(tmp_path / "run", {}) == config.model_copy(update={"remat": False, "preset": "gone"})


def test_mistakes_in_keys_come_before_the_model_is_looked_for(model):
    with pytest.raises(UsageError, match="num_generations is 1"):
        chosen_config(overrides={"model_id": "/none", "num_generations": 1})
    with pytest.raises(UsageError, match="model_id is '/none': no such folder"):
        chosen_config(overrides={"model_id": "/none"})
    # right over the preset, whose LoRA it belongs to, and wrong without
    assert chosen_config(overrides={"model_id": model(50_000_000), "lora.alpha": 8})[0].lora.scale == 0.5
    with pytest.raises(UsageError, match=r"lora.alpha is set and lora.rank is not"):
        chosen_config(overrides={"model_id": model(1_000_000), "lora.alpha": 8})


def test_the_hub_is_asked_for_a_models_size_and_nothing_is_downloaded(monkeypatch, tmp_path):
    import huggingface_hub.constants

    told = {"id": "org/name", "safetensors": {"parameters": {"BF16": 494_032_768}, "total": 494_032_768}}
    with JudgeServer(lambda request: Reply(json.dumps(told).encode(), headers={"Content-Type": "application/json"})) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.port}")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        config, said = chosen_config(overrides={"model_id": "org/name"})
        asked = [request.path for request in server.requests if "org/name" in request.path]
        assert asked == ["/api/models/org/name"]
    assert config.preset == "language-model"
    assert "of 494 M parameters" in said
    assert list(tmp_path.iterdir()) == []
