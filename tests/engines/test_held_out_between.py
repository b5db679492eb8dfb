"""Held-out questions between updates: on record, without a trace in what is trained, and the best policy is kept."""

import json
import os
import shutil
import signal

import pytest

from cal_grpo.config import load_config
from cal_grpo.runs import Watcher, resumed_config, train
from cal_grpo.runs.best import Best, keep_best, kept_best
from cal_grpo.seeing import Run

SETTINGS = {
    "num_train_steps": 5, "batch_size": 2, "micro_batch_size": 1, "num_generations": 4, "max_eval_samples": 6,
    "learning_rate": 1e-2, "beta": 0.1, "ledger.steps": 2, "rollout.max_new_tokens": 16, "rollout.max_prompt_tokens": 96,
    "checkpoint.every": 2, "eval.every": 2, "eval.batch_size": 2, "tracker": "none",
}  # fmt: skip


class Watches(Watcher):
    """Keeps what it is told of held-out questions; presses Ctrl-C in the middle of asking them after an update, if it shall."""

    def __init__(self, interrupt_in=""):
        self.told, self.interrupt_in, self.stages = [], interrupt_in, []

    def stage(self, name, total=0):
        self.stages.append(name)

    def advance(self, done):
        if self.interrupt_in and self.stages[-1] == self.interrupt_in:
            self.interrupt_in = ""
            os.kill(os.getpid(), signal.SIGINT)

    def evaluated(self, when, right, questions):
        self.told.append((when, right, questions))


@pytest.fixture(scope="module")
def run_of(shared_toy_folder, tmp_path_factory):
    """``run_of(name, watcher, **changes) -> (folder, summary)`` of a training of a toy policy."""
    root = tmp_path_factory.mktemp("between")

    def run(name, watcher=None, **changes):
        overrides = SETTINGS | {"model_id": str(shared_toy_folder), "output_dir": str(root / name)} | changes
        trained = train(load_config(overrides=overrides), watcher=watcher)
        return trained.run, trained.summary

    return run


@pytest.fixture(scope="module")
def whole(run_of):
    """One that nothing stopped, and what it told."""
    watcher = Watches()
    return *run_of("whole", watcher), watcher


def rows(run):
    return [json.loads(line) for line in (run / "eval.jsonl").read_text().splitlines()]


def same(run, other):
    """Two runs trained the same policy, and answered the same."""
    assert (run / "policy" / "model.safetensors").read_bytes() == (other / "policy" / "model.safetensors").read_bytes()
    assert rows(run) == rows(other)
    assert kept_best(run) == kept_best(other)
    assert (run / "best/policy/model.safetensors").read_bytes() == (other / "best/policy/model.safetensors").read_bytes()


def test_answers_are_on_record_and_told(whole):
    run, summary, watcher = whole
    asked = [(row["when"], row.get("update")) for row in rows(run)]
    times = [("before", None), ("between", 2), ("between", 4), ("after", None)]
    assert asked == [time for time in times for _ in range(6)]
    assert [when for when, _, _ in watcher.told] == ["before", "after update 2", "after update 4", "after"]
    shares = {2: watcher.told[1][1] / 6, 4: watcher.told[2][1] / 6, 5: watcher.told[3][1] / 6}
    assert Run(run).held_out == {0: watcher.told[0][1] / 6} | shares
    best = max(shares, key=lambda update: shares[update])  # the first of several
    assert summary["eval"]["best"] == {"update": best, "accuracy": shares[best]}
    assert kept_best(run) == Best(best, round(6 * shares[best]), 6)
    assert {file.name for file in (run / "best" / "policy").iterdir()} >= {"model.safetensors", "config.json", "tokenizer.json"}


def test_they_leave_no_trace_in_what_is_trained(whole, run_of):
    run, summary = run_of("without", **{"eval.every": None})
    assert (run / "policy" / "model.safetensors").read_bytes() == (whole[0] / "policy" / "model.safetensors").read_bytes()
    assert (run / "samples.jsonl").read_bytes() == (whole[0] / "samples.jsonl").read_bytes()
    assert "best" not in summary["eval"]
    assert not (run / "best").exists()
    assert Run(run).held_out == {}


def test_a_run_that_was_stopped_while_it_asked_asks_again_and_ends_as_if_it_had_not_been(whole, run_of):
    run, summary = run_of("stopped", Watches(interrupt_in="evaluating after update 2"))
    assert (summary["interrupted"], summary["steps"]) == (True, 2)
    assert {row["when"] for row in rows(run)} == {"before"}
    shutil.copytree(run, torn := run.with_name("torn"))  # killed while it wrote the answers
    with (torn / "eval.jsonl").open("a") as file:
        file.writelines(json.dumps(row | {"when": "between", "update": 2}) + "\n" for row in rows(run)[:4])
    for folder in (run, torn):
        summary = train(resumed_config(folder, {}), resume=True).summary
        same(folder, whole[0])
        assert summary["eval"] == whole[1]["eval"]


def test_a_finished_run_that_goes_on_has_what_a_longer_one_has(whole, run_of):
    run, _ = run_of("short", num_train_steps=4)
    assert [row["when"] for row in rows(run)][6::6] == ["between", "after"]
    train(resumed_config(run, {"num_train_steps": 5}), resume=True)
    same(run, whole[0])


@pytest.mark.parametrize("stage", ["saving", "renamed"])
def test_the_best_policy_is_whole_whenever_the_process_was_killed(tmp_path, stage):
    def save(text):
        def save_policy(folder):
            if text == "killed":
                raise KeyboardInterrupt
            folder.mkdir()
            (folder / "x").write_text(text)

        return save_policy

    keep_best(tmp_path, Best(2, 1, 4), save("first"))
    if stage == "saving":
        with pytest.raises(KeyboardInterrupt):
            keep_best(tmp_path, Best(4, 2, 4), save("killed"))
        assert kept_best(tmp_path) == Best(2, 1, 4)
        keep_best(tmp_path, Best(4, 2, 4), save("second"))
    else:
        shutil.copytree(tmp_path / "best", tmp_path / "best.old")
        (tmp_path / "best").rename(tmp_path / "best.partial")
        (tmp_path / "best.partial" / "policy" / "x").write_text("second")
        (tmp_path / "best.partial" / "evaluation.json").write_text('{"update": 4, "right": 2, "questions": 4}')
    assert kept_best(tmp_path) == Best(4, 2, 4)
    assert kept_best(tmp_path).accuracy == 0.5
    assert (tmp_path / "best" / "policy" / "x").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
