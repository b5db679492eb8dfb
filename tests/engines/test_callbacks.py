"""What a caller's own code hears of a training, and how it stops one."""

import json

import pytest

from cal_grpo.config import load_config
from cal_grpo.runs import Callback, Trained, resumed_config, train

SETTINGS = {
    "num_train_steps": 3, "batch_size": 2, "micro_batch_size": 1, "num_generations": 4, "max_eval_samples": 2,
    "learning_rate": 1e-2, "beta": 0.1, "ledger.steps": 2, "rollout.max_new_tokens": 16, "rollout.max_prompt_tokens": 96,
}  # fmt: skip


class Hears(Callback):
    """Keeps what it hears; stops after so many updates, or fails in one."""

    def __init__(self, stop_after=99, fail_in=99):
        self.heard, self.rows, self.stop_after, self.fail_in = [], [], stop_after, fail_in

    def on_start(self, run, config, past):
        self.heard.append(("start", run.name, config.rollout.max_prompt_tokens, [row["step"] for row in past]))

    def on_credit(self, tally, credited):
        assert credited.advantages_BT.shape[0] == 4
        self.heard.append(("credit", tally.step, tally.rows))

    def on_update(self, metrics):
        self.rows.append(dict(metrics))
        self.heard.append(("update", metrics["step"]))
        if metrics["step"] == self.fail_in:
            raise RuntimeError("the callback's own bug")

    def should_stop(self):
        return len(self.rows) >= self.stop_after

    def on_end(self, summary):
        self.heard.append(("end", summary and summary["steps"]))


def update(step):
    return [("credit", step, 4), ("credit", step, 8), ("update", step)]


@pytest.fixture(scope="module")
def stopped(shared_toy_folder, tmp_path_factory):
    """A training that a callback stopped after two of three updates."""
    run = tmp_path_factory.mktemp("callbacks") / "run"
    stops, other = Hears(stop_after=2), Hears()
    config = load_config(overrides=SETTINGS | {"model_id": str(shared_toy_folder), "output_dir": str(run)})
    return train(config, callbacks=[other, stops]), stops, other


def test_each_update_is_heard_once_with_its_credit_and_a_callback_stops_in_good_order(stopped):
    trained, stops, other = stopped
    assert isinstance(trained, Trained)
    assert stops.heard == other.heard == [("start", "run", 96, []), *update(1), *update(2), ("end", 2)]
    rows = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    assert stops.rows == rows
    summary = json.loads((trained.run / "summary.json").read_text())
    assert trained.summary == summary
    assert (summary["stopped"], summary["interrupted"], summary["engine"]) == ("callback", False, "tunix")
    assert summary["device"]
    assert summary["eval"]["after"] is not None
    assert (trained.run / "checkpoints" / "actor" / "2").exists()
    assert (trained.run / "policy" / "model.safetensors").exists()
    assert list((trained.run / "tensorboard").iterdir())


def test_a_resumed_run_hears_of_the_updates_before_at_its_start(stopped):
    run = stopped[0].run
    hears = Hears()
    again = train(resumed_config(run, {"tracker": "none"}), callbacks=[hears], resume=True)
    assert (again.summary["stopped"], again.summary["steps"], again.run) == (None, 3, run)
    assert hears.heard == [("start", "run", 96, [1, 2]), *update(3), ("end", 3)]


def test_a_callback_that_fails_ends_the_training_and_all_hear_of_the_end(shared_toy_folder, tmp_path):
    fails, other = Hears(fail_in=1), Hears()
    config = load_config(overrides=SETTINGS | {"model_id": str(shared_toy_folder), "output_dir": str(tmp_path / "run")})
    with pytest.raises(RuntimeError, match="the callback's own bug"):
        train(config, callbacks=[fails, other])
    assert fails.heard[-1] == other.heard[-1] == ("end", None)
    assert ("update", 2) not in fails.heard
    assert not (tmp_path / "run" / "summary.json").exists()
