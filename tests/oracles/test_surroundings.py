"""What an oracle meets around it: addresses, proxies, dates, counts, forks and event loops. One line, or a tagged verdict."""

import asyncio
import math
import subprocess
import sys

import pytest
from _judge_server import Reply, answer, verdict
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.errors import UsageError
from cal_grpo.oracles import Tag
from cal_grpo.oracles.judges.replies import retry_after, retry_delay, token_count

SECRET = "a-password-of-mine"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/v1", "http://127.0.0.1:0", "http://", "127.0.0.1:80", "ftp://host", "http://[::1", "host",
        f"http://me:{SECRET}/@host", f"http://me:{SECRET}@host:99999", f"me:{SECRET}@host", f"host/v1?key={SECRET}",
        f"me:?{SECRET}@host", f"host?key=@{SECRET}", f"http://me:{SECRET}@☃.invalid/v1",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_one_line_before_anything_is_asked(connect, url):
    with pytest.raises(UsageError, match=r"^base URL .*expected (http://HOST:PORT/PATH|one, such as http://)") as error:
        connect(base_url=url)
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "proxy",
    [
        f"socks5://me:{SECRET}@127.0.0.1:9", f"ftp://me:{SECRET}@host", "http://[::1", f"http://me:{SECRET}@host:99999",
        "http://127.0.0.1:9", "://", "http://", "http://ho st", f"http://me:{SECRET}@127.0.0.1:99999",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["ALL_PROXY", "HTTP_PROXY", "http_proxy"])
def test_a_proxy_of_no_use_is_one_line_or_a_tag(connect, ask, server, told, monkeypatch, proxy, name):
    for other in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.lower(), raising=False)
    monkeypatch.setenv(name, proxy)
    try:
        (found,) = connect(attempts=1).locate([ask()])
    except UsageError as e:
        shown = str(e)
        assert "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY" in shown
    else:
        assert found.tag is Tag.UNAVAILABLE
        shown = found.detail
    assert "\n" not in shown
    assert SECRET not in shown
    assert not server.requests


def test_no_proxy_stays_none(connect, ask, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.script = lambda request: answer(request, verdict("0+1=2"))
    assert connect().locate([ask()])[0].tag is Tag.FOUND


DATES = st.datetimes().map(lambda at: f"{at:%a, %d %b %Y %T} +0130")


@given(st.text(max_size=30) | st.integers().map(str) | st.floats().map(str) | st.floats(0).map("{:f}s".format) | DATES)
def test_a_rest_that_a_server_asks_for_is_at_most_a_day_whatever_it_says(text):
    details = {"error": {"details": [{"@type": "RetryInfo", "retryDelay": text}]}}
    for seconds in (retry_after({"retry-after": text}), retry_delay(details)):
        assert seconds is None or 0 <= seconds <= 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1e300", 86_400), ("1e400", None), ("-1e300", 0), ("9" * 5000, None), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("Sat, 01 Jan 0001 00:00:00 +2359", 0), ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +9999", None),
    ],
)  # fmt: skip
def test_dates_and_seconds_beyond_all_bounds(text, seconds):
    assert retry_after({"retry-after": text}) == seconds


@pytest.mark.parametrize("count", ["1e400", "-5", "1" + "0" * 400, '"many"', "true", "[]", "null", "1e-400"])
def test_a_count_that_is_none_counts_nothing_and_the_answer_stays(connect, ask, server, protocol, tmp_path, count):
    (tmp_path / "prices.yaml").write_text("m: {input: 1, output: 1}")

    def script(request):
        told = answer(request, verdict("0+1=2"), tokens=(987_654, 60))
        return Reply(told.body.replace(b" 987654,", f" {count},".encode()))

    server.script = script
    oracle = connect(prices=tmp_path / "prices.yaml")
    (found,) = oracle.locate([ask()])
    if protocol == "openai" or count.strip("-").isdigit():  # Google's client itself refuses what is no number
        assert (found.tag, found.usage.prompt_tokens, found.usage.completion_tokens) == (Tag.FOUND, 0, 60)
    else:
        assert found.tag in (Tag.FOUND, Tag.MALFORMED)
    assert math.isfinite(oracle.spent.usd)


def test_counts_that_are_counts():
    assert [token_count(value) for value in (0, 7, 7.0, 2**53, 2**53 + 2, float("nan"))] == [0, 7, 7, 2**53, 0, 0]


def test_it_can_be_asked_where_an_event_loop_runs(connect, ask, server):
    """As in a notebook: the oracle's own loop is another thread's."""
    server.script = lambda request: answer(request, verdict("0+1=2"))
    oracle = connect()

    async def cell():
        return oracle.locate([ask()]), await asyncio.wrap_future(oracle.submit(ask(1)))

    (first,), second = asyncio.run(cell())
    assert (first.tag, second.tag) == (Tag.FOUND, Tag.FOUND)


FORK = """
import os, sys
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Verdict

class Mine:
    name = "mine"
    async def locate(self, query):
        return Verdict(Tag.NO_ERROR)

query = Query("q", "r", "x")
with CALOracle(Mine()) as oracle:
    print(oracle.locate([query])[0].tag, flush=True)
    child = os.fork()
    if child == 0:
        for ask in (lambda: oracle.locate([query]), lambda: oracle.submit_all([query])):
            try:
                ask()
            except UsageError as e:
                print(str(e).replace(str(os.getpid()), "CHILD").replace(str(os.getppid()), "PARENT"), flush=True)
        oracle.close()
        with CALOracle(Mine()) as own:
            print(own.locate([query])[0].tag, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(oracle.locate([Query("q2", "r", "x")])[0].tag, flush=True)
"""


def test_a_fork_is_told_to_make_its_own(tmp_path):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=100)
    line = "the oracle 'mine' was made in process PARENT and is asked in its fork CHILD; make a CALOracle in each process"
    assert done.stdout.splitlines() == ["no_error", line, line, "no_error", "no_error"], done.stderr


@pytest.mark.parametrize("place", ["http://[::1", "http://127.0.0.1:99999/", "//", "http://me:9@/", "http://127.0.0.1:1/\x7f"])
def test_a_redirect_to_nowhere_is_a_tag(connect, ask, server, place):
    server.script = lambda r: Reply(b"", 302, {"location": place})
    (found,) = connect(attempts=1, patience_s=0).locate([ask()])
    assert found.tag in (Tag.REJECTED, Tag.UNAVAILABLE)
    assert found.detail.isprintable()


def test_a_reply_may_begin_with_a_byte_order_mark(connect, ask, server, protocol):
    server.script = lambda r: Reply(b"\xef\xbb\xbf" + answer(r, verdict("0+1=2")).body)
    (found,) = connect().locate([ask()])
    assert found.tag is (Tag.FOUND if protocol == "openai" else Tag.MALFORMED)  # Google's client refuses it


@pytest.mark.parametrize(
    "settings", [{"timeout_s": 1e308}, {"patience_s": 1e308}, {"rpm": 1e308}, {"tpm": 1e-300}, {"concurrency": 10**18}]
)
def test_settings_beyond_all_bounds_are_what_they_say(connect, ask, server, settings):
    server.script = lambda r: answer(r, verdict("0+1=2"))
    assert connect(**settings).locate([ask()])[0].tag is Tag.FOUND


@pytest.mark.parametrize("number", ["5", float("nan"), 0, -1.0])
def test_a_number_that_is_none_is_one_line(connect, number):
    with pytest.raises(UsageError, match=r"^timeout_s is .*; expected a number above 0$"):
        connect(timeout_s=number)
    if number != 0:
        with pytest.raises(UsageError, match=r"^patience_s is .* and ask_again .*; expected numbers from 0 on$"):
            connect(patience_s=number)


@pytest.mark.parametrize("model", ["m\n", "x" * 100_000])
def test_a_model_that_makes_no_address_is_a_tag(connect, ask, server, model):
    server.script = lambda r: answer(r, verdict("0+1=2"))
    (found,) = connect("gemini", base_url=server.gemini, model=model).locate([ask()])
    assert (found.tag, len(server.requests)) == (Tag.REJECTED, 0)
    assert "makes an address that is none" in found.detail
