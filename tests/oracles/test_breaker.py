"""The circuit breaker among questions that come together or raise, on a clock that the test moves."""

import asyncio
from concurrent.futures import wait
from types import SimpleNamespace

import pytest

from cal_grpo.oracles import CALOracle, Tag, Verdict
from cal_grpo.oracles.requests import caller

PAUSE_S = 1000.0
LONG_S = 60.0  # real seconds, after which what should have come will not come


@pytest.fixture
def clock(monkeypatch):
    """The time by which calls are made; it stands still."""
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(caller, "time", SimpleNamespace(monotonic=lambda: now.s))
    return now


class Judge:
    """Does what it is told, once it is let go."""

    name = "judge"

    def __init__(self):
        self.calls, self.go, self.does = 0, True, lambda: Verdict(Tag.REJECTED, detail="down")

    async def locate(self, query):
        self.calls += 1
        while not self.go:
            await asyncio.sleep(0.005)
        return self.does()


@pytest.fixture
def judge():
    return Judge()


@pytest.fixture
def oracle(judge, clock):
    with CALOracle(judge, breaker_failures=2, breaker_pause_s=PAUSE_S, concurrency=8) as oracle:
        yield oracle


def tags(oracle, queries):
    return [verdict.tag for verdict in oracle.locate(queries)]


def test_of_many_questions_that_come_together_one_is_the_trial(oracle, judge, clock, ask):
    assert [tags(oracle, [ask(i)]) for i in range(3)] == [[Tag.REJECTED], [Tag.REJECTED], [Tag.CIRCUIT_OPEN]]
    clock.s += PAUSE_S
    judge.go = False
    futures = {oracle.submit(ask(10 + i)) for i in range(8)}
    done = set()
    while len(done) < 7 and judge.calls <= 3:
        done, waiting = wait(futures, timeout=0.01)
    assert {future.result().tag for future in done} == {Tag.CIRCUIT_OPEN}
    judge.does, judge.go = lambda: Verdict(Tag.NO_ERROR), True
    assert waiting.pop().result(LONG_S).tag is Tag.NO_ERROR
    assert judge.calls == 3
    assert tags(oracle, [ask(20 + i) for i in range(8)]) == [Tag.NO_ERROR] * 8  # closed


def test_a_bug_of_the_oracles_counts_as_a_failure_and_its_trial_ends(oracle, judge, clock, ask):
    def bug():
        raise RuntimeError("a bug")

    judge.does = bug
    for i in range(2):
        with pytest.raises(RuntimeError, match="a bug"):
            oracle.locate([ask(i)])
    assert tags(oracle, [ask(2)]) == [Tag.CIRCUIT_OPEN]
    clock.s += PAUSE_S
    with pytest.raises(RuntimeError, match="a bug"):  # the trial
        oracle.locate([ask(3)])
    assert tags(oracle, [ask(4)]) == [Tag.CIRCUIT_OPEN]
    clock.s += PAUSE_S
    judge.does = lambda: Verdict(Tag.NO_ERROR)
    assert tags(oracle, [ask(5)]) == [Tag.NO_ERROR]
    assert oracle.spent.calls == 4


def test_a_trial_is_one_call_which_is_not_tried_again(oracle, judge, clock, ask):
    assert [tags(oracle, [ask(i)]) for i in range(2)] == [[Tag.REJECTED], [Tag.REJECTED]]
    clock.s += PAUSE_S
    judge.does = lambda: Verdict(Tag.UNAVAILABLE, detail="busy")  # what is tried again else
    assert tags(oracle, [ask(2)]) == [Tag.UNAVAILABLE]
    assert judge.calls == 3
