"""A run with the settings that were chosen by the model's size, from its first line to its resumption."""

import json

import pytest
import yaml
from _toy import write_folder

from cal_grpo.engines import require_engine
from cal_grpo.errors import UsageError
from cal_grpo.runs import chosen_config, resumed_config, train
from cal_grpo.runs.beforehand import choice

SETTINGS = {
    "num_train_steps": 2, "max_eval_samples": 4, "ledger.steps": 2, "rollout.max_new_tokens": 16,
    "rollout.max_prompt_tokens": 96, "tracker": "none", "learning_rate": 1e-2,
}  # fmt: skip


@pytest.fixture(params=["tunix", "trl"])
def engine(request, monkeypatch):
    try:
        require_engine(request.param)
    except UsageError as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr(choice, "LANGUAGE_MODEL_FROM", 1000)  # a toy counts as a language model
    return request.param


def test_what_was_chosen_trains_is_kept_and_goes_on(engine, tmp_path):
    def begin(name, **changes):
        given = {"engine": engine, "model_id": str(write_folder(tmp_path / "toy")), "output_dir": str(tmp_path / name)}
        config, said = chosen_config(overrides=SETTINGS | given | changes)
        assert "preset language-model" in said
        return train(config).run

    run, asked = begin("run"), begin("asked", **{"eval.every": 1})
    kept = yaml.safe_load((run / "config.yaml").read_text())
    assert (kept["preset"], kept["lora"]["rank"], kept["micro_batch_size"], kept["learning_rate"]) == (
        "language-model",
        16,
        1,
        0.01,
    )
    # Adapters that are saved between updates are trained on as if they had not been
    assert (asked / "policy" / "model.safetensors").read_bytes() == (run / "policy" / "model.safetensors").read_bytes()
    assert (asked / "best" / "policy" / "model.safetensors").exists()
    longer = resumed_config(run, {"num_train_steps": 3})
    assert longer.model_dump(exclude={"num_train_steps"}) == resumed_config(run, {}).model_dump(exclude={"num_train_steps"})
    assert train(longer, resume=True).summary["steps"] == 3
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
