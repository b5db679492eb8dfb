"""Whole trainings with a judge over HTTP: repeated from its log and its cache, and stopped by its budget."""

import json
from collections import Counter

import pytest
from _judge_server import JudgeServer, answer, error, verdict

from cal_grpo.config import load_config
from cal_grpo.errors import UsageError
from cal_grpo.runs.training import train
from cal_grpo.runs.watch import Watcher

KEY = "sk-0123456789-secret"


class Notes(Watcher):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def judge(request):
    """Blames the first characters of a response; fails on some, by their text, of which the first is none."""
    text = request.response.strip()
    if not text:
        return answer(request, verdict(""))
    return error(request, 403) if sum(map(ord, text)) % 5 == 2 else answer(request, verdict(text[:6]))


@pytest.fixture
def run(toy_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def one(name, url="http://127.0.0.1:9/v1", **changes):
        settings = {
            "model_id": str(toy_folder), "output_dir": str(tmp_path / name), "cal_provider": "openai", "cal_model": "m",
            "cal_base_url": url, "num_train_steps": 2, "batch_size": 2, "num_generations": 4, "max_eval_samples": 0,
            "learning_rate": 1e-2, "ledger.steps": 2, "rollout.max_new_tokens": 24, "rollout.max_prompt_tokens": 96,
            "oracle.breaker_failures": 0,
        }  # fmt: skip
        watcher = Notes()
        summary = train(load_config(overrides=settings | changes), watcher=watcher).summary
        return tmp_path / name, summary, watcher.notes

    return one


def test_a_training_is_repeated_from_its_log_and_from_its_cache(run, tmp_path):
    with JudgeServer(judge) as server:
        first, summary, _ = run("first", server.openai)
        asked = list(server.requests)
        assert summary["oracle"]["calls"] == len(asked) > 5
        assert summary["oracle"]["missed"]["rejected"] > 0
        cached, again, _ = run("cached", server.openai)
        # Only failures are asked for again; without them it would be no call at all.
        assert {r.response for r in server.requests[len(asked) :]} == {r.response for r in asked if judge(r).status == 403}
        assert again["oracle"]["missed"] == summary["oracle"]["missed"]
    replayed, repeated, _ = run("replayed", **{"oracle.replay": str(first / "judge.jsonl")})
    assert repeated["oracle"]["calls"] == 0
    assert repeated["oracle"]["missed"] == summary["oracle"]["missed"]
    policy = (first / "policy" / "model.safetensors").read_bytes()
    assert policy == (replayed / "policy" / "model.safetensors").read_bytes()
    assert policy == (cached / "policy" / "model.safetensors").read_bytes()
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("provider", ["openai", "arithmetic > openai"])
def test_a_judge_that_rejects_its_first_question_stops_a_run_before_its_first_update(run, tmp_path, provider):
    with JudgeServer(lambda r: error(r, 401, "Incorrect API key")) as server:
        with pytest.raises(UsageError, match=r"rejects its first question .*Incorrect API key"):
            run("refused", server.openai, cal_provider=provider, micro_batch_size=1)
        assert len(server.requests) == 1
    metrics = tmp_path / "refused" / "metrics.jsonl"
    assert not metrics.exists() or not metrics.read_text()


@pytest.mark.parametrize("micro_batch_size", [None, 1])
def test_the_longest_wrong_answer_is_asked_alone(run, micro_batch_size):
    seen = []

    def script(request):
        seen.append((len(request.response), server.in_flight))
        return answer(request, verdict(request.response.strip()[:6]), latency_s=0.2 if len(seen) == 1 else 0.0)

    with JudgeServer(script) as server:
        _, summary, _ = run("asked", server.openai, num_train_steps=1, micro_batch_size=micro_batch_size)
    assert summary["oracle"]["calls"] == len(server.requests) == len(seen) > 2
    assert seen[0] == (max(length for length, _ in seen), 1)


def test_a_spent_budget_stops_in_good_order(run):
    with JudgeServer() as server:
        changes = {"oracle.max_calls": 9, "oracle.on_budget": "stop", "on_failure": "raise", "num_train_steps": 50}
        folder, summary, notes = run("stopped", server.openai, **changes)
        assert len(server.requests) == 9
    assert (summary["stopped"], summary["interrupted"], summary["oracle"]["calls"]) == ("budget", False, 9)
    assert 0 < summary["steps"] < 50
    assert json.loads((folder / "summary.json").read_text())["stopped"] == "budget"
    assert (folder / "policy" / "model.safetensors").exists()
    assert any((folder / "checkpoints").rglob("*"))
    tags = Counter(json.loads(line)["tag"] for line in (folder / "judge.jsonl").read_text().splitlines())
    assert tags["over_budget"] > 0
    assert any("budget is spent: max_calls=9" in note for note in notes)
