"""A resumed run is told again what it was told, and pays for nothing twice."""

import asyncio
import json

import pytest

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Usage, Verdict
from cal_grpo.oracles.memory.memory import Question
from cal_grpo.oracles.memory.recent import Recent
from cal_grpo.oracles.memory.resumed import Resumed

COST = Usage(1, 100, 10, 0.5, 0.25)


class Judge:
    """Answers by number of the call; fails where ``failures`` says so."""

    name = "judge"
    metered = True

    def __init__(self, failures=()):
        self.calls, self.failures = [], failures

    async def locate(self, query):
        self.calls.append(query.response)
        if len(self.calls) in self.failures:
            return Verdict(Tag.REJECTED, detail="no", usage=COST)
        return Verdict(Tag.FOUND, f"call {len(self.calls)}", query.response, usage=COST)


def ask(oracle, *responses):
    return [oracle.locate([Query("q", "r", response)])[0] for response in responses]


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def log(tmp_path):
    """A log of six answers: a, b, then a known, then c failed, c found, d."""
    file = tmp_path / "judge.jsonl"
    with CALOracle(Judge(failures=[3]), log=file) as oracle:
        given = ask(oracle, "a", "b", "a", "c", "c", "d")
    assert [v.tag for v in given] == ["found", "found", "found", "rejected", "found", "found"]
    return file, given


def test_answers_behind_the_checkpoint_are_given_again_as_they_were_and_stand_once_in_the_log(log):
    file, given = log
    before = file.read_text()
    judge = Judge()
    with CALOracle(judge, log=file) as oracle:
        oracle.resume(file, settled=2)
        assert oracle.spent == Usage(5, 500, 50, 2.5, 1.25)
        assert ask(oracle, "a", "c", "c", "d") == given[2:]  # the failure too, and who was cached
        assert (judge.calls, file.read_text(), oracle.spent.calls) == ([], before, 5)
        (new,) = ask(oracle, "e")
        assert (judge.calls, new.cached, oracle.spent.calls) == (["e"], False, 6)
        assert [v.critique for v in ask(oracle, "b", "c")] == ["call 2", "call 4"]  # known from before, and free
        assert judge.calls == ["e"]
    assert [(row["tag"], row["cached"], row["calls"]) for row in lines(file)[6:]] == [
        ("found", False, 1), ("found", True, 0), ("found", True, 0),
    ]  # fmt: skip


def test_a_second_kill_changes_nothing(log):
    file, given = log
    for _ in range(3):
        with CALOracle(Judge(), log=file) as oracle:
            oracle.resume(file, settled=2)
            assert ask(oracle, "a", "c") == given[2:4]
    assert len(lines(file)) == 6


def test_a_run_killed_between_two_equal_questions_pays_once(log):
    file, _ = log
    with CALOracle(Judge(), log=file) as oracle:
        oracle.resume(file, settled=5)
        first, second = ask(oracle, "d", "d")
        assert (first.cached, second.cached, second.segment) == (False, True, "d")
        assert oracle.spent.calls == 5


def test_the_budget_goes_on_where_it_was(log):
    file, _ = log
    told = []
    with CALOracle(Judge(), log=file, max_calls=6, tell=told.append) as oracle:
        oracle.resume(file, settled=6)
        assert [v.tag for v in ask(oracle, "e", "f")] == ["found", "over_budget"]
    assert told == ["the oracle's budget is spent: max_calls=6 is reached"]
    with CALOracle(Judge(), log=file, max_calls=100, tell=told.append) as oracle:
        oracle.on_spent = told.append
        oracle.resume(file, settled=7)
        assert [v.tag for v in ask(oracle, "f")] == ["over_budget"]  # as the run was told then
    assert told[-1] == "max_calls=6 is reached"


def test_failed_attempts_belong_to_their_answer(tmp_path):
    file = tmp_path / "judge.jsonl"
    rows = [("a", "unavailable", 1, False), ("b", "found", 1, True), ("a", "found", 2, True)]
    row = {
        "critique": "", "segment": "", "hint": None, "confidence": None, "detail": "", "calls": 1, "prompt_tokens": 10,
        "completion_tokens": 1, "usd": 0.25, "latency_s": 1.0, "cached": False,
    }  # fmt: skip
    with file.open("w") as f:
        for request, tag, attempt, final in rows:
            line = {"request": request, "tag": tag, "attempt": attempt, "final": final}
            f.write(json.dumps(row | line | {"segment": "x" if tag == "found" else ""}) + "\n")
    recent = Recent()
    resumed = Resumed(recent)
    resumed.read(file, settled=0)

    def again(request):
        return asyncio.run(resumed.recall(Question("", request, Query("q", "r", request))))

    assert (resumed.spent, resumed.retried, resumed.answered) == (Usage(3, 30, 3, 0.75, 3.0), 1, ["b", "a"])
    assert again("a").usage == Usage(2, 20, 2, 0.5, 2.0)
    assert again("a") is None
    assert recent.get("", "a").cached


def test_a_resumed_replay_goes_on_at_its_place(log, tmp_path):
    file, given = log
    mine = tmp_path / "mine.jsonl"
    with CALOracle("openai", replay=file, log=mine) as oracle:
        ask(oracle, "a", "b", "a", "c")
    with CALOracle("openai", replay=file, log=mine) as oracle:
        oracle.resume(mine, settled=3)
        assert [v.tag for v in ask(oracle, "c", "c", "d")] == [v.tag for v in given[3:]]
    assert [row["tag"] for row in lines(mine)] == [v.tag for v in given]


def test_without_a_log_nothing_is_known(tmp_path):
    with CALOracle(Judge()) as oracle:
        oracle.resume(tmp_path / "none.jsonl", settled=3)
        assert oracle.spent == Usage()
        assert not ask(oracle, "a")[0].cached


def test_what_is_no_judge_log_is_one_line(tmp_path):
    (tmp_path / "judge.jsonl").write_text('{"some": "json"}\n')
    with CALOracle(Judge()) as oracle, pytest.raises(UsageError, match="line 1: not a judge log's line"):
        oracle.resume(tmp_path / "judge.jsonl", settled=0)
