"""An evaluation from a config to its folder: with the embedded policy once, and with an engine that plays its part."""

import json
import os
import signal
from types import SimpleNamespace

import pytest

from cal_grpo.config import TrainConfig, load_config
from cal_grpo.engines import Answer, Answers
from cal_grpo.errors import UsageError
from cal_grpo.grading import grade_answer, pass_at_k
from cal_grpo.runs import evaluation
from cal_grpo.runs.evaluation import evaluate
from cal_grpo.runs.watch import Watcher
from cal_grpo.tasks import Example, load_task

SMALL = {"ledger.steps": 2, "max_eval_samples": 5, "eval.batch_size": 4}


def lines(folder):
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Five questions answered by the embedded policy, three samples each, in batches of four."""
    folder = tmp_path_factory.mktemp("evals") / "first"
    return folder, evaluate(load_config(overrides=SMALL), 3, folder)


def test_the_figures_follow_from_the_answers(finished):
    folder, record = finished
    rows = lines(folder)
    assert json.loads((folder / "evaluation.json").read_text()) | {"output": str(folder)} == record
    assert [row["question"] for row in rows] == [e.question for e in load_task(load_config(overrides=SMALL)).eval]
    assert (record["questions"], record["samples"], record["interrupted"]) == (5, 3, False)
    for row in rows:
        assert len(row["samples"]) == 3
        assert row["right"] == sum(sample["correct"] for sample in row["samples"])
        for answer in (row["greedy"], *row["samples"]):
            assert answer["correct"] == grade_answer(answer["response"], row["expected"]).correct
        shown = [sample["extracted"] for sample in row["samples"]]
        if len(set(shown)) < 3:
            assert row["majority"]["answer"] == max(shown, key=shown.count)
    assert record["greedy"]["value"] == sum(row["greedy"]["correct"] for row in rows) / 5
    assert record["majority"]["value"] == sum(row["majority"]["correct"] for row in rows) / 5
    assert list(record["pass"]) == ["1", "2", "3"]
    for k, estimate in record["pass"].items():
        assert estimate["value"] == pytest.approx(sum(pass_at_k(3, row["right"], int(k)) for row in rows) / 5)
        assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1
    assert record["wall_s"] > record["compile_s"] >= 0  # 0 where this process has compiled it all before


def test_a_policy_that_was_made_for_the_task_answers_and_its_samples_differ(finished):
    rows = lines(finished[0])
    assert any(row["greedy"]["correct"] for row in rows)
    assert any(len({sample["response"] for sample in row["samples"]}) > 1 for row in rows)


def test_the_same_evaluation_again_is_the_same(finished, tmp_path):
    again = evaluate(load_config(overrides=SMALL), 3, tmp_path / "again")
    assert lines(tmp_path / "again") == lines(finished[0])
    assert {k: v for k, v in again.items() if k not in ("output", "wall_s", "compile_s")} == {
        k: v for k, v in finished[1].items() if k not in ("output", "wall_s", "compile_s")
    }


class Told(Watcher):
    def __init__(self):
        self.heard = []

    def stage(self, name, total=0):
        self.heard.append((name, total))

    def advance(self, done):
        self.heard.append(done)

    def standing(self, text):
        self.heard.append(text)

    def note(self, text):
        self.heard.append(text)


@pytest.fixture
def engine(monkeypatch):
    """``engine(events)``: one whose every batch has one right question; an event is called before the next batch."""

    def install(*events):
        def answers(samples, on_done):
            for number, event in enumerate((None, *events)):
                if event is not None:
                    event()
                right, wrong = (f"#### {n}" for n in (4, 5))
                example = Example(f"question {number}", "4", "2+2=4")
                graded = [Answer(text, grade_answer(text, "4")) for text in ([right] + [wrong] * samples)]
                on_done((number + 1) * (samples + 1))
                yield [Answers(example, graded[0], graded[1:])]

        opened = SimpleNamespace(
            answers=answers, held_out=[None] * (len(events) + 1), skipped={"held-out": 2}, compile_s=0.0, device="toy",
            close=lambda: None,
        )  # fmt: skip
        monkeypatch.setattr(evaluation, "engine_of", lambda name: SimpleNamespace(open=lambda *_: opened))

    return install


def test_the_watcher_hears_of_progress_and_of_what_was_left_out(engine, tmp_path):
    engine(lambda: None)
    watcher = Told()
    evaluate(TrainConfig(), 2, tmp_path / "e", watcher=watcher)
    assert watcher.heard[-6:] == [
        "2 questions skipped: longer than 128 tokens", ("answering", 6),
        3, "greedy 100.0%, pass@2 0.0%, majority@2 0.0% of 1 questions",
        6, "greedy 100.0%, pass@2 0.0%, majority@2 0.0% of 2 questions",
    ]  # fmt: skip


def test_greedy_only(engine, tmp_path):
    engine()
    record = evaluate(TrainConfig(), None, tmp_path / "e")
    assert (record["samples"], record["pass"], record["majority"]) == (0, {}, None)
    assert record["greedy"]["value"] == 1
    assert set(lines(tmp_path / "e")[0]) == {"question", "expected", "greedy"}


def test_ctrl_c_keeps_what_was_answered_and_says_so(engine, tmp_path):
    engine(lambda: os.kill(os.getpid(), signal.SIGINT), lambda: None)
    watcher = Told()
    record = evaluate(TrainConfig(), 1, tmp_path / "e", watcher=watcher)
    assert (record["interrupted"], record["questions"]) == (True, 2)  # the batch that was under way is finished
    assert len(lines(tmp_path / "e")) == 2
    assert any("stopping after this batch" in str(heard) for heard in watcher.heard)
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text())["interrupted"]


def test_a_death_midway_loses_no_finished_batch(engine, tmp_path):
    def die():
        raise MemoryError

    engine(die)
    with pytest.raises(MemoryError):
        evaluate(TrainConfig(), 1, tmp_path / "e")
    assert [row["question"] for row in lines(tmp_path / "e")] == ["question 0"]
    assert not (tmp_path / "e" / "evaluation.json").exists()


def test_an_evaluation_is_not_overwritten_unless_that_is_said(engine, tmp_path):
    engine()
    evaluate(TrainConfig(), None, tmp_path / "e")
    before = (tmp_path / "e" / "answers.jsonl").read_bytes()
    with pytest.raises(UsageError, match="already holds an evaluation"):
        evaluate(TrainConfig(seed=1), None, tmp_path / "e")
    assert (tmp_path / "e" / "answers.jsonl").read_bytes() == before
    assert evaluate(TrainConfig(seed=1), None, tmp_path / "e", overwrite=True)["seed"] == 1


def test_an_output_that_cannot_be_a_folder(engine, tmp_path):
    engine()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be created .* is a file"):
        evaluate(TrainConfig(), None, tmp_path / "file" / "e")
