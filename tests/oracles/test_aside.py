"""Whoever blocks in ``locate`` without awaiting delays nobody's time limit. No test here measures time: what must happen while
somebody blocks is waited for before he is let go, so that a loop that is held up is a test that fails, not one that is late."""

import asyncio
import gc
import threading

import pytest

from cal_grpo.oracles import CALOracle, Query, Tag, Verdict
from cal_grpo.oracles.memory import CacheFile
from cal_grpo.oracles.several import Vote

LONG_S = 60.0  # what takes so long does not come


class Recorded:
    """Remembers the threads on which it was asked and closed."""

    def __init__(self, name, **kind):
        self.name, self.threads = name, set()
        self.identity = {"oracle": name}
        vars(self).update(kind)

    async def locate(self, query):
        self.threads.add(threading.current_thread())
        return Verdict(Tag.NO_ERROR)

    async def aclose(self):
        self.threads.add(threading.current_thread())


class Blocks(Recorded):
    """Blocks until it is let go."""

    def __init__(self, **kind):
        super().__init__("blocks", **kind)
        self.asked, self.go = threading.Event(), threading.Event()

    async def locate(self, query):
        self.asked.set()
        self.go.wait(LONG_S)
        return Verdict(Tag.NO_ERROR)


class Never(Recorded):
    awaits = True

    async def locate(self, query):
        await asyncio.sleep(10 * LONG_S)


@pytest.fixture
def blocks():
    oracle = Blocks()
    yield oracle
    oracle.go.set()


def test_its_own_time_limit_runs_out_while_it_blocks(ask, blocks):
    with CALOracle(blocks, timeout_s=0.05, attempts=1) as oracle:
        (future,) = oracle.submit_all([ask()])
        assert future.result(LONG_S).tag is Tag.TIMEOUT
        assert blocks.asked.is_set()
        assert not blocks.go.is_set()
        blocks.go.set()


@pytest.mark.parametrize("kind", [{}, {"free": True}], ids=["costs something", "free"])
def test_while_one_blocks_others_answer_and_run_out_of_time(ask, tmp_path, kind):
    blocks, quick, never = Blocks(**kind), Recorded("quick", awaits=True), Never("never")
    told = threading.Event()
    with CALOracle(
        Vote([blocks, quick, never]), timeout_s=0.05, attempts=1, breaker_failures=1, tell=lambda text: told.set()
    ) as oracle:
        future = oracle.submit(ask())
        assert blocks.asked.wait(LONG_S)
        assert told.wait(LONG_S)  # one that failed is left alone, and that is told: its time ran out
        deadline = threading.Event()
        while not quick.threads:
            assert not deadline.wait(0.01)
        assert not blocks.go.is_set()
        blocks.go.set()
        future.result(LONG_S)


def test_nobody_works_on_the_loop_that_keeps_time(ask, tmp_path, monkeypatch):
    ours = [Recorded("paid"), Recorded("free", free=True), Recorded("awaits", awaits=True)]
    stored = set()
    store = CacheFile.store
    monkeypatch.setattr(CacheFile, "store", lambda *args: (stored.add(threading.current_thread()), store(*args))[1])
    with CALOracle(Vote(ours), cache=tmp_path / "c.db") as oracle:
        oracle.locate([ask(i) for i in range(3)])
        keeps_time = oracle._thread
    worked = [thread for one in ours for thread in one.threads] + [*stored]
    assert keeps_time not in worked
    assert all(one.threads for one in ours)
    assert stored
    assert ours[0].threads == ours[1].threads != ours[2].threads  # one loop for those who share state, and one for servers'


def test_what_comes_too_late_is_dropped_without_a_word(ask, blocks, caplog):
    async def locate(query):
        blocks.asked.set()
        blocks.go.wait(LONG_S)
        raise RuntimeError("too late")

    blocks.locate = locate
    with CALOracle(blocks, timeout_s=0.05, attempts=1) as oracle:
        assert oracle.locate([ask()])[0].tag is Tag.TIMEOUT
        blocks.go.set()
    gc.collect()
    assert not caplog.records


def test_one_that_does_not_let_go_is_left_behind_and_told_of(ask, blocks, told):
    oracle = CALOracle(blocks, timeout_s=0.05, attempts=1, tell=told.append)
    oracle.locate([Query("q", "r", "x")])
    oracle.close()
    assert any("does not let go of a call; it is left behind" in line or "did not close in good order" in line for line in told)


def test_after_closing_it_can_be_asked_again(ask):
    recorded = Recorded("again")
    oracle = CALOracle(recorded)
    for i in range(2):
        assert oracle.locate([ask(i)])[0].tag is Tag.NO_ERROR
        oracle.close()
    assert len(recorded.threads) == 2
    assert not any(thread.is_alive() for thread in recorded.threads)
