"""A training's first question, a server that is away for a while, and oracles that do not answer in time."""

import asyncio
import threading
import time

import pytest
from _judge_server import JudgeServer, answer, blame_first_line, error, verdict

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Verdict


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_judge_that_rejects_its_first_question_is_a_mistake_to_mend(connect, ask, server, status):
    server.script = lambda r: error(r, status, "no such thing", latency_s=0.05)
    oracle = connect()
    futures = oracle.submit_all([ask(i) for i in range(6)]) + oracle.submit_all([ask(9)])
    for future in futures:
        with pytest.raises(UsageError, match=r"rejects its first question .*no such thing.*check its key, model name"):
            future.result()
    assert len(server.requests) == oracle.spent.calls == 1


def test_the_longest_is_asked_alone_and_its_verdict_counts(connect, server):
    queries = [Query("q", "r", f"1+1={i}{' and so on' * (i == 3)}") for i in range(6)]
    server.script = lambda r: answer(r, verdict(r.response), latency_s=0.1)
    futures = connect().submit_all(queries)
    while not server.requests:
        time.sleep(0.005)
    time.sleep(0.03)
    assert [r.response for r in server.requests] == [queries[3].response]
    assert [f.result().segment for f in futures] == [q.response for q in queries]
    assert len(server.requests) == 6


def test_a_rejection_after_a_success_is_tagged(connect, ask, server):
    server.script = lambda r: blame_first_line(r) if len(server.requests) == 1 else error(r, 401)
    assert sorted(f.result().tag for f in connect().submit_all([ask(i) for i in range(3)])) == ["found", "rejected", "rejected"]


def test_a_judge_behind_a_free_oracle_is_found_out_too(connect, server, protocol):
    server.script = lambda r: error(r, 401, "bad key")
    oracle = connect(f"reference@0.999 > {protocol}")
    unclear = [Query("What?", "It is 7.", f"It is {i}, because 4 and 5 are {i}.\nSo {i}.") for i in (8, 9)]
    for future in oracle.submit_all(unclear):
        with pytest.raises(UsageError, match="rejects its first question"):
            future.result()


def test_a_server_that_restarts_is_waited_for(ask, told):
    began = time.monotonic()

    def script(request):
        up = time.monotonic() - began > 6
        return blame_first_line(request) if up else error(request, 503, "Loading model")

    with JudgeServer(script) as server, CALOracle("openai", model="m", base_url=server.openai, tell=told.append) as oracle:
        assert {v.tag for v in oracle.locate([ask(i) for i in range(4)])} == {Tag.FOUND}
    assert not told


def test_patience_ends(connect, ask, server):
    server.script = lambda r: error(r, 503)
    began = time.monotonic()
    assert connect(patience_s=1.2).locate([ask()])[0].tag is Tag.UNAVAILABLE
    assert 1.2 <= time.monotonic() - began < 5
    assert len(server.requests) >= 3
    server.requests.clear()
    assert connect(patience_s=0).locate([ask()])[0].tag is Tag.UNAVAILABLE
    assert len(server.requests) == 1


class Sleeps:
    """An oracle object that does not answer, and may not let itself be cancelled."""

    name = "sleeps"

    def __init__(self, stubborn=False):
        self.stubborn, self.asked = stubborn, 0

    async def locate(self, query):
        self.asked += 1
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                await asyncio.sleep(end - time.monotonic())
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise
        return Verdict(Tag.NO_ERROR)


@pytest.mark.parametrize("stubborn", [False, True])
def test_the_time_limit_holds_for_every_object_and_closing_takes_no_longer(ask, told, stubborn):
    began = time.monotonic()
    oracle = CALOracle(Sleeps(stubborn), timeout_s=0.2, attempts=2, tell=told.append)
    late = oracle.locate([ask()])[0]
    assert (late.tag, late.usage.calls) == (Tag.TIMEOUT, 2)
    assert "0.2 s" in late.detail
    oracle.close()
    assert time.monotonic() - began < 12


def test_closing_does_not_raise_over_the_callers_own_exception(ask, told):
    class Breaks:
        name = "breaks"

        async def locate(self, query):
            return Verdict(Tag.NO_ERROR)

        async def aclose(self):
            raise RuntimeError("its own bug")

    def use():
        with CALOracle(Breaks(), tell=told.append) as oracle:
            oracle.locate([ask()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert told == ["the oracle 'breaks' did not close in good order (RuntimeError: its own bug)"]


def test_closing_does_not_wait_for_work_on_a_thread(ask):
    freed = threading.Event()

    class Works:
        name = "works"

        async def locate(self, query):
            await asyncio.to_thread(freed.wait, 60)
            return Verdict(Tag.NO_ERROR)

    oracle = CALOracle(Works(), tell=lambda text: None)
    oracle.submit(ask())
    time.sleep(0.1)
    began = time.monotonic()
    oracle.close()
    assert time.monotonic() - began < 10
    freed.set()
