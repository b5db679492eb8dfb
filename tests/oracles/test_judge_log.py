"""The judge log and its replay."""

import asyncio
import json
import os
import threading
from pathlib import Path

import pytest
from _judge_server import answer, blame_first_line, error, verdict

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Verdict


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def logged(connect, ask, server, tmp_path):
    """A log with every kind of line, and the answers that were given, in order."""
    file = tmp_path / "judge.jsonl"
    prices = tmp_path / "prices.yaml"
    prices.write_text("m: {input: 1.0, output: 10.0}")

    def script(request):
        if len(server.requests) == 1:
            return error(request, 500)
        if "2+1" in request.response and not any("2+1" in r.response for r in server.requests[:-1]):
            return error(request, 403)
        return answer(request, verdict(request.response.split("\n")[0], "why", "so"), tokens=(1000, 100))

    server.script = script
    oracle = connect(log=file, max_calls=6, prices=prices, concurrency=1)
    asked = [ask(0), ask(1), ask(0), ask(2), ask(2), ask(3), ask(4)]
    given = [oracle.locate([q])[0] for q in asked]
    oracle.close()
    return file, asked, given


def test_every_call_and_every_answer_is_a_line(logged):
    file, _, given = logged
    rows = lines(file)
    assert [v.tag for v in given] == ["found", "found", "found", "rejected", "found", "found", "over_budget"]
    shown = [(r["tag"], r["attempt"], r["final"], r["cached"], r["calls"]) for r in rows]
    assert shown == [
        ("unavailable", 1, False, False, 1),
        ("found", 2, True, False, 1),
        ("found", 1, True, False, 1),
        ("found", 0, True, True, 0),  # known: the call that bought it is counted above
        ("rejected", 1, True, False, 1),
        ("found", 1, True, False, 1),
        ("found", 1, True, False, 1),
        ("over_budget", 0, True, False, 0),
    ]
    first = rows[1]
    assert (first["critique"], first["segment"], first["hint"]) == ("why", "0+1=2", "so")
    assert (first["prompt_tokens"], first["completion_tokens"], first["usd"]) == (1000, 100, pytest.approx(0.002))
    assert first["latency_s"] > 0
    assert first["model"] == "m"
    assert first["request"] == rows[0]["request"] == rows[3]["request"]
    assert rows[0]["detail"]
    assert given[0].usage.calls == 2  # all attempts together
    assert sum(r["calls"] for r in rows) == 6


def test_a_replay_gives_the_same_answers_without_a_call_or_a_key(logged, monkeypatch, server, protocol):
    file, asked, given = logged
    before = len(server.requests)
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    spent = []
    with CALOracle(protocol, replay=file, log=file.with_name("again.jsonl"), tell=lambda text: None) as oracle:
        oracle.on_spent = spent.append
        again = [oracle.locate([q])[0] for q in asked]
        assert oracle.spent.calls == 0
    assert [(v.tag, v.segment, v.hint, v.critique) for v in again] == [(v.tag, v.segment, v.hint, v.critique) for v in given]
    assert all(v.cached for v in again)
    assert len(spent) == 1  # the run stopped there, so it does again
    assert len(server.requests) == before
    with CALOracle(protocol, replay=file.with_name("again.jsonl"), tell=lambda text: None) as oracle:
        assert [oracle.locate([q])[0].tag for q in asked] == [v.tag for v in given]


def test_a_question_that_the_log_never_saw_is_an_error(logged, ask, protocol):
    with CALOracle(protocol, replay=logged[0]) as oracle, pytest.raises(UsageError, match="has no answer about '77"):
        oracle.locate([ask(77)])


def test_a_cut_off_line_is_left_out_and_appended_to(logged, connect, ask, server):
    file, asked, _ = logged
    text = file.read_text()
    file.write_text(text[: text.rindex('"tag"')])  # killed in the middle of the last line
    with CALOracle("openai", replay=file) as oracle:
        assert oracle.locate([asked[0]])[0].tag is Tag.FOUND
        with pytest.raises(UsageError):
            oracle.locate([asked[-1]])
    server.script = blame_first_line
    oracle = connect(log=file)
    oracle.locate([ask(9)])
    oracle.close()
    with CALOracle("openai", replay=file) as oracle:
        assert oracle.locate([ask(9)])[0].tag is Tag.FOUND


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "holds no answer"),
        (b"x\ny\n", "holds no answer"),
        (b'{"some": "json"}\n', "line 1: not a judge log's line"),
        (b"[]\n", "line 1: not a judge log's line"),
    ],
)
def test_what_is_no_judge_log_is_one_line(tmp_path, content, message):
    file = tmp_path / "log.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=message) as error:
        CALOracle("openai", replay=file)
    assert "\n" not in str(error.value)


def test_a_log_that_cannot_be_written_is_told_once_and_the_run_goes_on(connect, ask, told, tmp_path):
    oracle = connect(log=tmp_path / "nowhere" / "judge.jsonl")
    assert {v.tag for v in oracle.locate([ask(i) for i in range(3)])} == {Tag.FOUND}
    assert len(told) == 1
    assert "cannot be written" in told[0]


@pytest.fixture
def disk(monkeypatch):
    """Each fsync of a file as (thread, lines that the file has then); waits for ``go`` once ``hold`` is set."""
    synced, hold, go, real = [], threading.Event(), threading.Event(), os.fsync

    def fsync(handle):
        path = os.readlink(f"/proc/self/fd/{handle}")
        if path.endswith("judge.jsonl"):
            synced.append((threading.current_thread().name, Path(path).read_text().count("\n")))
            assert not hold.is_set() or go.wait(60)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    yield synced, hold, go
    go.set()


def test_a_calls_line_is_on_the_disk_before_its_answer_is_used_and_no_loop_waits_for_it(connect, ask, tmp_path, disk):
    synced, hold, go = disk
    oracle = connect(log=tmp_path / "judge.jsonl")
    assert oracle.locate([ask()])[0].tag is Tag.FOUND
    assert [count for _, count in synced] == [1]
    hold.set()
    waiting = oracle.submit(ask(1))
    while len(synced) < 2:
        threading.Event().wait(0.005)
    # The disk takes its time: the loop goes on, and the answer is not there
    assert asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "turned"), oracle._loop).result(60) == "turned"
    assert not waiting.done()
    go.set()
    assert waiting.result(60).tag is Tag.FOUND
    assert {name for name, _ in synced}.isdisjoint({"MainThread", oracle._thread.name})


def test_an_answer_that_cost_nothing_is_not_worth_an_fsync(tmp_path, disk):
    with CALOracle("reference", log=tmp_path / "judge.jsonl") as oracle:
        oracle.locate([Query("q", "1+1=2", f"1+1={i}") for i in range(3, 6)])
    assert len(lines(tmp_path / "judge.jsonl")) == 3
    assert disk[0] == []


def test_what_was_paid_is_written_though_the_oracle_is_closed_meanwhile(ask, tmp_path, disk):
    synced, hold, go = disk

    class Paid:
        name, identity = "paid", {"oracle": "paid"}

        async def locate(self, query):
            return Verdict(Tag.FOUND, segment="0+1")

    oracle = CALOracle(Paid(), log=tmp_path / "judge.jsonl", cache=tmp_path / "c.db", tell=pytest.fail)
    hold.set()
    future = oracle.submit(ask())
    while not synced:
        threading.Event().wait(0.005)
    closing = threading.Thread(target=oracle.close)
    closing.start()
    go.set()
    closing.join(60)
    assert [line["tag"] for line in lines(tmp_path / "judge.jsonl")] == ["found"]
    assert future.done()
