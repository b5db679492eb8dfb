"""How a training loop's oracle behaves: what is asked, how often, and what comes back when it fails."""

import threading
import time
from collections import Counter

import pytest
from _judge_server import answer, blame_first_line, error, verdict

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Tag, Usage, Verdict
from cal_grpo.oracles.requests.retry import Retry


class Scripted:
    """An oracle object that answers from a function of the query."""

    name = "scripted"

    def __init__(self, script):
        self.script, self.asked = script, []

    async def locate(self, query):
        self.asked.append(query)
        return self.script(query)


def test_answers_come_in_order_whatever_the_order_of_the_replies(connect, ask, server):
    server.script = lambda r: answer(r, verdict(r.response.split("\n")[0]), latency_s=0.2 if "0+1" in r.response else 0)
    assert [v.segment for v in connect().locate([ask(i) for i in range(5)])] == [f"{i}+1={i + 2}" for i in range(5)]


def test_calls_overlap_up_to_the_bound(connect, ask, server):
    server.script = lambda r: answer(r, verdict("so"), latency_s=0.05)
    connect(concurrency=3).locate([ask(i) for i in range(12)])
    assert server.most_in_flight == 3


def test_submit_does_not_wait_and_works_from_many_threads(connect, ask, server):
    oracle = connect()
    oracle.locate([ask(99)])
    server.script = lambda r: answer(r, verdict("so"), latency_s=2.0)
    futures = {}
    began = time.monotonic()
    threads = [threading.Thread(target=lambda i=i: futures.update({i: oracle.submit(ask(i % 8))})) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 2.0
    assert {f.result().tag for f in futures.values()} == {Tag.FOUND}
    assert len(server.requests) == 1 + 8  # the same question in flight is asked once


def test_what_is_shared_or_known_is_marked_and_costs_nothing(connect, ask, server):
    oracle = connect()
    first, twin = oracle.locate([ask(), ask()])
    again = oracle.locate([ask()])[0]
    assert [first.cached, twin.cached, again.cached] == [False, True, True]
    assert (oracle.spent.calls, len(server.requests)) == (1, 1)
    assert twin.usage == first.usage  # of the call that bought it
    assert oracle.outcomes == {"found": 3}


@pytest.mark.parametrize("status", [400, 401, 403])
def test_no_retry_where_asking_again_cannot_help(connect, ask, server, status):
    server.script = lambda r: error(r, status)
    assert connect().locate([ask()])[0].tag is Tag.REJECTED
    assert len(server.requests) == 1


@pytest.mark.parametrize("trouble", [429, 500, 503, "reset", "timeout"])
def test_what_passes_is_tried_again(connect, ask, server, trouble):
    def script(request):
        if len(server.requests) < 3:
            if trouble == "reset":
                return answer(request, "", fault="reset")
            return error(request, 500, latency_s=2.5) if trouble == "timeout" else error(request, trouble)
        return blame_first_line(request)

    server.script = script
    oracle = connect(timeout_s=1.0 if trouble == "timeout" else 10)
    found = oracle.locate([ask()])[0]
    assert (found.tag, found.usage.calls, len(server.requests), oracle.retried) == (Tag.FOUND, 3, 3, 2)


def test_attempts_end(connect, ask, server):
    server.script = lambda r: error(r, 500)
    failed = connect(attempts=2).locate([ask()])[0]
    assert (failed.tag, failed.usage.calls, len(server.requests)) == (Tag.UNAVAILABLE, 2, 2)


def test_retry_after_is_obeyed_by_all(connect, ask, server):
    times = []

    def script(request):
        times.append(time.monotonic())
        return error(request, 429, headers={"retry-after": "0.6"}) if len(times) == 1 else blame_first_line(request)

    server.script = script
    oracle = connect(concurrency=1)
    assert {v.tag for v in oracle.locate([ask(i) for i in range(3)])} == {Tag.FOUND}
    assert times[1] - times[0] >= 0.6  # the next question waits too


def test_a_server_that_wants_a_long_rest_is_not_waited_for_nor_asked(connect, ask, server):
    server.script = lambda r: error(r, 429, headers={"retry-after": "3600"})
    oracle = connect()
    began = time.monotonic()
    assert [oracle.locate([ask(i)])[0].tag for i in range(3)] == [Tag.RATE_LIMITED, Tag.CIRCUIT_OPEN, Tag.CIRCUIT_OPEN]
    assert len(server.requests) == 1
    assert time.monotonic() - began < 5


def test_back_off_doubles_with_jitter_and_the_servers_word_wins():
    retry = Retry(attempts=9, first_s=1.0, longest_s=30.0)
    trouble = Verdict(Tag.UNAVAILABLE)
    pauses = [[retry.pause_s(trouble, attempt) for _ in range(200)] for attempt in range(1, 9)]
    for attempt, drawn in enumerate(pauses, 1):
        longest = min(30.0, 2.0 ** (attempt - 1))
        assert all(longest / 2 <= pause <= longest for pause in drawn)
        assert len(set(drawn)) == 200
    assert retry.pause_s(trouble, 9) is None
    assert retry.pause_s(Verdict(Tag.RATE_LIMITED, retry_after_s=7.0), 1) == 7.0
    assert retry.pause_s(Verdict(Tag.RATE_LIMITED, retry_after_s=999.0), 1) is None
    for tag in Tag:
        if tag not in (Tag.RATE_LIMITED, Tag.UNAVAILABLE, Tag.TIMEOUT):
            assert retry.pause_s(Verdict(tag, segment="x" if tag is Tag.FOUND else ""), 1) is None


def test_a_failure_is_not_kept(connect, ask, server):
    server.script = lambda r: error(r, 403) if len(server.requests) == 1 else blame_first_line(r)
    oracle = connect()
    assert [oracle.locate([ask()])[0].tag for _ in range(3)] == [Tag.REJECTED, Tag.FOUND, Tag.FOUND]
    assert len(server.requests) == 2


def test_the_breaker_opens_once_tries_again_and_closes(connect, ask, server, told):
    broken = True
    server.script = lambda r: error(r, 403, "down") if broken else blame_first_line(r)
    oracle = connect(breaker_failures=3, breaker_pause_s=1.0, concurrency=1)
    tags = Counter(v.tag for v in oracle.locate([ask(i) for i in range(10)]))
    assert tags == {Tag.REJECTED: 3, Tag.CIRCUIT_OPEN: 7}
    assert len(server.requests) == 3
    time.sleep(1.05)
    tags = Counter(v.tag for v in oracle.locate([ask(i) for i in range(10)]))
    assert tags == {Tag.REJECTED: 1, Tag.CIRCUIT_OPEN: 9}  # one trial
    broken = False
    time.sleep(1.05)
    assert oracle.locate([ask(1)])[0].tag is Tag.FOUND
    assert {v.tag for v in oracle.locate([ask(i) for i in range(10)])} == {Tag.FOUND}
    assert len(told) == 2
    assert "failed 3 times in a row, last with rejected" in told[0]
    assert "answers again" in told[1]


def test_failures_that_are_not_in_a_row_leave_the_breaker_closed(connect, ask, server):
    server.script = lambda r: error(r, 403) if len(server.requests) % 3 else blame_first_line(r)
    tags = Counter(v.tag for v in connect(breaker_failures=3, concurrency=1).locate([ask(i) for i in range(30)]))
    assert tags == {Tag.REJECTED: 20, Tag.FOUND: 10}


def test_the_budget_in_calls_is_exact(connect, ask, server, told):
    server.script = lambda r: answer(r, verdict("so"), latency_s=0.02)
    spent = []
    oracle = connect(max_calls=7, concurrency=4)
    oracle.on_spent = spent.append
    verdicts = oracle.locate([ask(i) for i in range(20)])
    assert Counter(v.tag for v in verdicts) == {Tag.FOUND: 7, Tag.OVER_BUDGET: 13}
    assert len(server.requests) == oracle.spent.calls == 7
    assert spent == ["max_calls=7 is reached"]
    assert told == ["the oracle's budget is spent: max_calls=7 is reached"]
    assert next(v for v in verdicts if v.tag is Tag.OVER_BUDGET).usage == Usage()
    known = next(i for i, v in enumerate(verdicts) if v.tag is Tag.FOUND)
    assert oracle.locate([ask(known)])[0].tag is Tag.FOUND  # what is known is still told


def test_failed_calls_count_in_the_budget(connect, ask, server):
    server.script = lambda r: error(r, 500)
    oracle = connect(max_calls=3, attempts=4)
    assert oracle.locate([ask()])[0].tag is Tag.UNAVAILABLE
    assert len(server.requests) == 3


@pytest.mark.parametrize("limit", [{"max_tokens": 3000}, {"max_usd": 3.0}])
def test_tokens_and_dollars_are_overshot_by_the_calls_in_flight_at_most(connect, ask, server, tmp_path, limit):
    server.script = lambda r: answer(r, verdict("so"), tokens=(900, 100), latency_s=0.02)
    prices = tmp_path / "prices.yaml"
    prices.write_text("m: {input: 1000, output: 1000}")  # a call of 1,000 tokens is a dollar
    oracle = connect(concurrency=4, prices=prices, **limit)
    verdicts = oracle.locate([ask(i) for i in range(30)])
    assert 3 <= oracle.spent.calls <= 3 + 4 - 1
    assert oracle.spent.usd == pytest.approx(oracle.spent.calls)
    assert Counter(v.tag for v in verdicts)[Tag.OVER_BUDGET] == 30 - oracle.spent.calls


def test_requests_and_tokens_a_minute(connect, ask, server):
    server.script = lambda r: answer(r, verdict("so"), tokens=(900, 100))
    for settings in ({"rpm": 600}, {"tpm": 600_000}):  # ten calls of 1,000 tokens a second
        oracle = connect(**settings)
        oracle.locate([ask(99)])
        began = time.monotonic()
        oracle.locate([ask(i) for i in range(25)])
        assert 1.3 < time.monotonic() - began < 6  # a second's worth at once, then the pace


def test_an_object_of_the_callers_own(ask):
    oracle = Scripted(lambda q: Verdict(Tag.FOUND, segment=q.response[:3]))
    with CALOracle(oracle, max_calls=3, concurrency=1) as asked:
        tags = [v.tag for v in asked.locate([ask(i) for i in range(5)])]
    assert tags == [Tag.FOUND] * 3 + [Tag.OVER_BUDGET] * 2  # its locate counts as a call
    assert len(oracle.asked) == 3


def test_free_providers_make_no_calls(ask):
    with CALOracle("reference", max_calls=1) as oracle:
        assert {v.tag for v in oracle.locate([ask(i) for i in range(5)])} == {Tag.FOUND}
        assert oracle.spent.calls == 0


def test_an_objects_own_bug_reaches_whoever_waits_and_the_next_question_is_asked(ask):
    def script(query):
        if "0+1" in query.response:
            raise ZeroDivisionError("its own bug")
        return Verdict(Tag.NO_ERROR)

    with CALOracle(Scripted(script), breaker_failures=1, breaker_pause_s=0.05) as oracle:
        with pytest.raises(ZeroDivisionError, match="its own bug"):
            oracle.locate([ask(0)])
        time.sleep(0.1)
        assert oracle.locate([ask(1)])[0].tag is Tag.NO_ERROR


def test_closing_frees_whoever_waits_and_an_oracle_can_be_used_again(connect, ask, server):
    server.script = lambda r: answer(r, verdict("so"), latency_s=30)
    oracle = connect(concurrency=2)
    futures = [oracle.submit(ask(i)) for i in range(6)]
    while not server.requests:
        time.sleep(0.01)
    oracle.close()
    assert all(f.cancelled() for f in futures)
    server.script = blame_first_line
    assert {v.tag for v in oracle.locate([ask(i) for i in range(6)])} == {Tag.FOUND}
    assert not [t for t in threading.enumerate() if t.name == "oracle-x"]


@pytest.mark.parametrize(
    "setting", ["timeout_s", "concurrency", "attempts", "rpm", "tpm", "max_calls", "max_tokens", "max_usd"]
)
@pytest.mark.parametrize("number", [0, -1, float("nan")])
def test_a_limit_is_above_zero(setting, number):
    with pytest.raises(UsageError, match=f"{setting} is {number}; expected a number above 0"):
        CALOracle("reference", **{setting: number})


def test_a_server_that_is_away_is_asked_once_more_when_its_time_is_up():
    retry, away = Retry(patience_s=60.0), Verdict(Tag.UNAVAILABLE)
    assert retry.pause_s(away, 10, waited_s=59.0) == 1.0  # not the 15 to 30 of its back-off
    assert retry.pause_s(away, 11, waited_s=60.0) is None
