"""Every limit, exactly: cascades and votes, with and without failures."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter

import pytest
from _judge_server import answer, error, verdict

from cal_grpo.oracles import CALOracle, Query, ReferenceOracle, Tag, Usage, Verdict
from cal_grpo.oracles.memory import recent
from cal_grpo.oracles.several import Cascade, Vote, compose

UNCLEAR = "It is 9, because 4 and 5 are 9."  # the free stage is not sure of these
QUESTIONS = [Query("What?", "It is 7.", f"{UNCLEAR}\nSo 9. {i}") for i in range(6)]

# line: the judges that are asked about each question, a call each when nothing fails. "blind" finds nothing.
LINES = {
    "a": ["a"],
    "3 x a": ["a", "a", "a"],
    "reference@0.99 > a": ["a"],
    "blind > a": ["blind", "a"],
    "reference@0.99 > 2 x blind > 3 x a > never": ["blind", "blind", "a", "a", "a"],
    "majority(a, b, c)": ["a", "b", "c"],
    "blind > union(a, b) > reference": ["blind", "a", "b"],
    "2 x a@1 > blind": ["a", "a"],
}
FAILURES = ["none", "each first try", "every third call"]


class Judges:
    """Scripted judges that count what is asked of all of them together."""

    def __init__(self, failures="none", latency_s=0.0):
        self.failures, self.latency_s = failures, latency_s
        self.calls = self.in_flight = self.most_in_flight = 0
        self.times, self.good, self.tried = [], Counter(), Counter()

    def line(self, line):
        return compose(line, lambda name, varied: ReferenceOracle() if name == "reference" else Judge(name, self))


class Judge:
    def __init__(self, name, judges):
        self.name, self.identity, self._judges = name, {"oracle": name}, judges

    async def locate(self, query):
        all_ = self._judges
        all_.calls += 1
        all_.tried[self.name, query] += 1
        all_.times.append(time.monotonic())
        number, tried = all_.calls, all_.tried[self.name, query]
        all_.in_flight += 1
        all_.most_in_flight = max(all_.most_in_flight, all_.in_flight)
        await asyncio.sleep(all_.latency_s)
        all_.in_flight -= 1
        if (all_.failures == "each first try" and tried == 1) or (all_.failures == "every third call" and number % 3 == 0):
            return Verdict(Tag.UNAVAILABLE, usage=Usage(1), retry_after_s=0.001)
        all_.good[self.name, query] += 1
        usage = Usage(1, 90, 10, 0.01)
        return Verdict(Tag.NO_ERROR, usage=usage) if self.name == "blind" else Verdict(Tag.FOUND, "", UNCLEAR, usage=usage)


def opened(oracle, **settings):
    return CALOracle(oracle, **{"tell": lambda text: None, "breaker_failures": 0, "attempts": 20} | settings)


def needed(line):
    return len(LINES[line]) * len(QUESTIONS)


@pytest.mark.parametrize("failures", FAILURES)
@pytest.mark.parametrize("line", LINES)
def test_calls_are_counted_where_they_are_made(tmp_path, line, failures):
    judges = Judges(failures)
    with opened(judges.line(line), log=tmp_path / "judge.jsonl") as oracle:
        verdicts = oracle.locate(QUESTIONS)
    assert {v.tag for v in verdicts} == {Tag.FOUND}
    assert judges.good.total() == needed(line)  # a retry pays nobody again
    assert oracle.spent.calls == judges.calls == sum(v.usage.calls for v in verdicts)
    assert oracle.retried == judges.calls - needed(line)
    assert oracle.spent.tokens == 100 * needed(line)
    rows = [json.loads(row) for row in (tmp_path / "judge.jsonl").read_text().splitlines()]
    assert sum(row["calls"] for row in rows) == judges.calls
    assert sum(row["final"] for row in rows) == len(QUESTIONS)
    if line != "a":
        assert sum("leaf" in row for row in rows) == judges.calls  # a line each; the free stage has none


@pytest.mark.parametrize("failures", FAILURES)
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("max_calls", [1, 5])
def test_no_call_is_made_beyond_the_budget(line, failures, max_calls):
    judges, spent = Judges(failures, latency_s=0.001), []
    with opened(judges.line(line), max_calls=max_calls, concurrency=8) as oracle:
        oracle.on_spent = spent.append
        oracle.locate(QUESTIONS)
    assert judges.calls == oracle.spent.calls == max_calls
    assert spent == [f"max_calls={max_calls} is reached"]


@pytest.mark.parametrize("limit", [{"max_tokens": 500}, {"max_usd": 0.05}])
@pytest.mark.parametrize("line", ["3 x a", "blind > union(a, b) > reference"])
def test_tokens_and_dollars_are_overshot_by_the_calls_in_flight_at_most(line, limit):
    judges = Judges(latency_s=0.001)
    with opened(judges.line(line), concurrency=4, **limit) as oracle:
        oracle.locate(QUESTIONS)
    assert 5 <= judges.calls <= 5 + 4 - 1


@pytest.mark.parametrize("failures", FAILURES)
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_calls_are_in_flight(line, failures, concurrency):
    judges = Judges(failures, latency_s=0.005)
    with opened(judges.line(line), concurrency=concurrency) as oracle:
        oracle.locate(QUESTIONS)
    assert judges.most_in_flight == concurrency


@pytest.mark.parametrize("line", ["a", "3 x a", "majority(a, b, c)"])
@pytest.mark.parametrize("limit", [{"rpm": 1200}, {"tpm": 120_000}])
def test_paces_are_for_all_calls_together(line, limit):
    judges = Judges()
    with opened(judges.line(line), **limit) as oracle:
        begun = time.monotonic()
        oracle.locate([Query("warm", "", f"{UNCLEAR} up")])  # what a call takes is known now
        oracle.locate([Query("", "", f"{UNCLEAR} {i}") for i in range(60 // len(LINES[line]))])
    # Twenty calls a second, after a second's worth at once. From the beginning, as a slow machine only makes calls later.
    assert len(judges.times) > 60
    assert all(at - begun > (calls - 20) / 20 - 0.1 for calls, at in enumerate(judges.times, 1))


@pytest.mark.parametrize("memory", ["cache", "log"])
@pytest.mark.parametrize("failures", FAILURES)
@pytest.mark.parametrize("line", LINES)
def test_a_run_that_is_stopped_again_and_again_pays_for_each_verdict_once(tmp_path, line, failures, memory):
    judges, tags = Judges(failures), set()
    while tags != {Tag.FOUND}:
        budget = 7 + (judges.calls if memory == "log" else 0)
        with opened(judges.line(line), max_calls=budget, **{memory: tmp_path / "f"}) as oracle:
            if memory == "log":
                oracle.resume(tmp_path / "f", settled=10**6)
                assert oracle.spent.calls == judges.calls
            tags = {v.tag for v in oracle.locate(QUESTIONS)}
    for (name, _), count in judges.good.items():
        assert count <= LINES[line].count(name)  # fewer where enough of a vote had answered when the budget was spent
    before = judges.calls
    with opened(judges.line(line), **{memory: tmp_path / "f"}) as oracle:
        if memory == "log":
            oracle.resume(tmp_path / "f", settled=10**6)
            assert (oracle.spent.calls, oracle.spent.tokens) == (before, 100 * judges.good.total())
        verdicts = oracle.locate(QUESTIONS)
    assert {v.tag for v in verdicts} == {Tag.FOUND}
    if memory == "log":
        assert {v.cached for v in verdicts} == {True}
        assert judges.calls == before
    else:  # a cache knows the critiques, not the votes: those that are missing are asked for now
        assert judges.good.total() == needed(line)


def test_an_answer_that_a_kill_cut_short_costs_what_it_costs(tmp_path):
    """The first critique of three is in the log, the answer is not: it is given again as it was, and counts as paid now."""
    log = tmp_path / "judge.jsonl"
    judges = Judges()
    with opened(judges.line("3 x a"), log=log) as oracle:
        (whole,) = oracle.locate(QUESTIONS[:1])
    log.write_text(log.read_text().split("\n")[0] + "\n")
    with opened(judges.line("3 x a"), log=log) as oracle:
        oracle.resume(log, settled=0)
        (again,) = oracle.locate(QUESTIONS[:1])
        assert (again.usage.calls, again.cached, oracle.spent.calls) == (3, False, 3)
        assert (again.segment, again.usage.tokens) == (whole.segment, whole.usage.tokens)
    assert judges.calls == 3 + 2
    assert len(log.read_text().splitlines()) == 4


@pytest.mark.parametrize("failures", FAILURES)
@pytest.mark.parametrize("line", LINES)
def test_a_run_that_goes_back_to_a_checkpoint_is_told_the_same_and_a_replay_too(tmp_path, line, failures):
    log, judges = tmp_path / "judge.jsonl", Judges(failures)
    asked = [*QUESTIONS[:3], QUESTIONS[0], *QUESTIONS[3:]]
    with opened(judges.line(line), log=log) as oracle:
        given = [oracle.locate([question])[0] for question in asked]
        spent = oracle.spent
    before = log.read_text()
    again = Judges()
    with opened(again.line(line), log=log) as oracle:
        oracle.resume(log, settled=2)
        told = [oracle.locate([question])[0] for question in asked[2:]]
        assert [(v.tag, v.segment, v.cached, v.usage.calls, v.usage.tokens) for v in told] == [
            (v.tag, v.segment, v.cached, v.usage.calls, v.usage.tokens) for v in given[2:]
        ]
        assert (oracle.spent.calls, oracle.spent.tokens) == (spent.calls, spent.tokens)
        assert oracle.locate([asked[1]])[0].cached
    with CALOracle(line, replay=log) as replayed:
        assert [replayed.locate([question])[0].segment for question in asked] == [v.segment for v in given]
    assert again.calls == 0
    assert log.read_text().startswith(before)
    assert len(log.read_text().splitlines()) == len(before.splitlines()) + 1


RUN = """
import sys
from cal_grpo.oracles import CALOracle, Query

spec, url, log, *cache = sys.argv[1:]
settings = {"cache": cache[0]} if cache else {}
with CALOracle(spec, base_url=url, api_key="k" * 20, log=log, concurrency=4, **settings) as oracle:
    oracle.resume(__import__("pathlib").Path(log), settled=10**6)
    verdicts = oracle.locate([Query("What?", "It is 7.", f"response {i}") for i in range(30)])
    print(sum(v.tag == "found" for v in verdicts), oracle.spent.calls)
"""


@pytest.mark.parametrize("cached", [True, False])
def test_kill_9_in_the_middle_of_votes_loses_only_what_was_in_flight(server, tmp_path, cached):
    server.script = lambda r: answer(r, verdict(r.response), latency_s=0.02)
    command = [sys.executable, "-c", RUN, "3 x openai:a", server.openai, str(tmp_path / "judge.jsonl")]
    command += [str(tmp_path / "c.db")] if cached else []
    with subprocess.Popen(command) as killed:
        while len(server.requests) < 40:
            time.sleep(0.002)
        killed.kill()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, calls = map(int, done.stdout.split())
    paid = Counter(r.response for r in server.requests)
    assert found == len(paid) == 30
    assert 0 <= sum(paid.values()) - 90 <= 4  # those in flight
    assert 0 <= len(server.requests) - calls <= 4  # they have no line


def test_a_bench_pays_for_the_training(server, tmp_path):
    server.script = lambda r: answer(r, verdict(UNCLEAR))
    settings = {"model": "a", "base_url": server.openai, "api_key": "k" * 20, "cache": tmp_path / "c.db"}
    lines = ("reference@0.6 > openai", "reference@0.99 > openai", "openai@0.5", "arithmetic > union(openai, reference)")
    for line in ("openai", *lines):
        with CALOracle(line, **settings) as oracle:
            assert {v.tag for v in oracle.locate(QUESTIONS)} == {Tag.FOUND}
        assert len(server.requests) == len(QUESTIONS)


def test_a_dead_judge_stops_neither_the_free_stage_nor_a_second_judge(server):
    def script(request):
        model = request.body["model"]
        if model == "resting":
            return error(request, 429, "quota", headers={"retry-after": "86400"})
        return error(request, 403) if model == "dead" else answer(request, verdict(UNCLEAR))

    told, server.script = [], script
    clear = Query("What is 2+3*4?", "3*4=12\n2+12=14\n#### 14", "3*4=12\n2+12=15\n#### 15")
    line = "reference@0.9 > openai:dead > openai:resting > openai:well"
    settings = {"base_url": server.openai, "api_key": "k" * 20, "breaker_failures": 2, "concurrency": 1, "tell": told.append}
    with CALOracle(line, **settings) as oracle:
        for question in QUESTIONS:
            assert [v.tag for v in oracle.locate([question, clear])] == [Tag.FOUND, Tag.FOUND]
    assert Counter(r.body["model"] for r in server.requests) == {"dead": 2, "resting": 1, "well": len(QUESTIONS)}
    rests, failed = told
    assert rests.startswith("the server of the oracle 'openai' (3) asks to be left alone for 86400 s (rate_limited: ")
    assert failed.startswith("the oracle 'openai' (2) failed ")


class Own:
    """An oracle of a user's own, which counts what it is asked."""

    def __init__(self, name, **attributes):
        self.name, self.asked, self.now, self.most = name, [], 0, 0
        self.__dict__.update(attributes)

    async def locate(self, query):
        self.asked.append(query.response)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)
        self.now -= 1
        return Verdict(Tag.FOUND, segment=query.response[:5])


def test_oracles_of_a_users_own_inside_others_are_leaves_too(tmp_path):
    kept, unkept, free = Own("kept", identity={"oracle": "kept"}), Own("unkept"), Own("free", free=True)
    whole = Cascade([(Vote([free, Vote([kept, kept]), unkept]), 0.0)])
    with CALOracle(whole, concurrency=3, cache=tmp_path / "c.db") as oracle:
        assert {v.tag for v in oracle.locate(QUESTIONS)} == {Tag.FOUND}
        assert (oracle.spent.calls, len(kept.asked), len(unkept.asked), len(free.asked)) == (18, 12, 6, 6)
        assert kept.most + unkept.most <= 2 * 3
    with CALOracle(whole, max_calls=2, cache=tmp_path / "c.db") as oracle:
        oracle.locate(QUESTIONS)
    assert (len(kept.asked), len(unkept.asked), len(free.asked)) == (12, 8, 12)


def test_the_verdicts_of_a_process_are_a_bounded_number_and_none_of_the_free():
    paid, free = Own("paid"), Own("free", free=True)
    with CALOracle(free) as oracle:
        oracle.locate(QUESTIONS)
        assert [v.cached for v in oracle.locate(QUESTIONS)] == [False] * 6
        assert len(oracle._client._recent) == 0
    with CALOracle(paid) as oracle:
        oracle._client._recent._kept = 4
        for question in QUESTIONS:
            oracle.locate([question])
        assert len(oracle._client._recent) == 4
        assert [oracle.locate([q])[0].cached for q in reversed(QUESTIONS)] == [True] * 4 + [False] * 2
    assert recent.KEPT == 10_000
