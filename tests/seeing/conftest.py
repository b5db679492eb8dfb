"""Run folders as training leaves them, and as it leaves them when something went wrong."""

import json
from types import SimpleNamespace

import pytest

from cal_grpo.config import TrainConfig


def rollout(step=1, **changes):
    """A record of samples.jsonl: ``1+1=3`` with ``=3`` blamed."""
    record = {
        "step": step, "question": "What is 1+1?", "reference": "1+1=2\n#### 2", "response": "1+1=3\n#### 3", "tokens": 12,
        "correct": False,
        "extracted": "3", "expected": "2", "reward": 0.0,
        "advantages": [[0.3, 3], [-1.0, 2], [0.0, 7]], "advantage_characters": [3, 2, 7],
        "verdict": {"tag": "found", "critique": "1+1 is 2", "segment": "=3", "confidence": 0.9, "missed": None},
        "span": {"tokens": [3, 5], "characters": [3, 5], "method": "exact", "score": 1.0},
    }  # fmt: skip
    return {key: value for key, value in (record | changes).items() if value is not ...}


def right(step=1, **changes):
    """A right answer, which nobody judged."""
    return rollout(
        step, response="1+1=2\n#### 2", correct=True, extracted="2", reward=1.0, advantages=[[0.7, 12]],
        advantage_characters=[12], verdict=..., span=..., **changes,
    )  # fmt: skip


def missed(reason="quote_not_found", step=1, **changes):
    """A judged answer without a span."""
    verdict = {"tag": "found", "critique": "", "segment": "=4", "confidence": None, "missed": reason}
    return rollout(
        step, verdict=verdict, span=..., miss="not_found", advantages=[[-0.7, 12]], advantage_characters=[12], **changes
    )


@pytest.fixture
def records():
    """``records.rollout(step, **changes)``, ``records.right`` and ``records.missed``; ``...`` takes a key away."""
    return SimpleNamespace(rollout=rollout, right=right, missed=missed)


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def make_run(tmp_path):
    """``make_run(name, ...) -> folder`` of a finished run of two updates; any file's text may be given instead."""

    def make(name="run", *, samples=None, held_out=((1, 1, 0, 0), (1, 1, 1, 0)), files=None, **settings):
        folder = tmp_path / name
        folder.mkdir()
        metrics = [
            {"step": step, "accuracy": 0.25 * step, "kl": 0.01 * step, "tokens_mean": 12.0, "cal/asked": 4.0, "cal/found": 3.0,
             "entropy": 0.5, "cal/usd": 0.005, "cal/latency_p50_s": 0.2, "cal/latency_p95_s": 0.9,
             "cal/missed/quote_not_found": 1.0, "cal/advantage_variance": 0.2, "cal/advantage_variance_grpo": 0.9}
            for step in (1, 2)
        ]  # fmt: skip
        answers = [
            {"when": when, "question": f"q{i}", "response": str(i), "correct": bool(right), "extracted": "1", "expected": "1"}
            for when, row in zip(("before", "after"), held_out, strict=True)
            for i, right in enumerate(row)
        ]
        records = [rollout(), right(), rollout(2), missed(step=2)] if samples is None else samples
        oracle = {"calls": 8, "retried": 1, "tokens": 900, "usd": 0.01}
        texts = {
            "config.yaml": TrainConfig.model_validate({"output_dir": folder} | settings).to_yaml(),
            "metrics.jsonl": lines(metrics),
            "samples.jsonl": lines(records),
            "eval.jsonl": lines(answers),
            "summary.json": json.dumps({"stopped": None, "wall_s": 12.5, "oracle": oracle}),
        } | (files or {})
        for file, text in texts.items():
            if text is not None:
                (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder

    return make


@pytest.fixture
def cal_grpo(monkeypatch, capsys, tmp_path):
    """``cal_grpo("report", ...) -> (status, stdout, stderr)`` in an empty working directory."""
    from cal_grpo.cli import main

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["cal-grpo", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return stopped.value.code, shown.out, shown.err

    return call
