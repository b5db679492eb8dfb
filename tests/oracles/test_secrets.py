"""A key goes to its server, and to nobody else in any spelling."""

import base64
import gzip
import json
import zlib
from urllib.parse import parse_qs, quote

import pytest
from _judge_server import JudgeServer, Reply, answer, error, verdict

from cal_grpo.config import load_config
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Tag

KEY = "sk-01+23/456789-secret"


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {} ", "\ufeff{}"])
def test_line_breaks_around_a_key_are_no_part_of_it(connect, ask, server, protocol, monkeypatch, around):
    monkeypatch.setenv("OPENAI_API_KEY" if protocol == "openai" else "GEMINI_API_KEY", around.format(KEY))
    assert connect(api_key=None).locate([ask()])[0].tag is Tag.FOUND
    headers = server.requests[0].headers
    assert headers["x-goog-api-key" if protocol == "gemini" else "authorization"].removeprefix("Bearer ") == KEY


@pytest.mark.parametrize("inside", ["sk-0123\n456789", "sk-0123 456789", "sk-0123\x00456789", "sk-0123é456789"])
def test_what_is_no_key_is_refused_and_not_shown(connect, inside):
    with pytest.raises(UsageError, match="_API_KEY holds white space or a character that no key has") as refused:
        connect(api_key=inside)
    assert "0123" not in str(refused.value)


def test_the_key_is_told_in_no_spelling(connect, ask, server, tmp_path, told):
    escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
    spelt = [KEY, KEY.upper(), quote(KEY), quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), repr(KEY)]

    def script(request):
        if "0+1" in request.response:
            return error(request, 403, f"key {' '.join(spelt)}")
        if "1+1" in request.response:
            return answer(request, f'{{"critique": "saw {escaped}", "segment": "1+1=3", "hint": "{escaped}"}}')
        return Reply(f"{KEY} no JSON at all {' '.join(spelt)}".encode())

    server.script = script
    oracle = connect(
        api_key=KEY, log=tmp_path / "judge.jsonl", cache=tmp_path / "c.db", breaker_failures=1, breaker_pause_s=0.01
    )
    verdicts = [oracle.locate([ask(i)])[0] for i in range(3)]
    oracle.close()
    everything = f"{verdicts} {told} {[file.read_bytes() for file in tmp_path.iterdir()]}".lower()
    for text in (*spelt, "456789", "3456789-secret"):
        assert text.lower() not in everything


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_header_goes_along_to_another_host(connect, ask, server, status):
    with JudgeServer() as elsewhere:
        place = f"http://127.0.0.1:{elsewhere.port}/v1/chat/completions?token=hush-hush-hush"
        server.script = lambda r: Reply(b"", status, {"location": place})
        found = connect().locate([ask()])[0]
        assert not elsewhere.requests
    assert (found.tag, len(server.requests)) == (Tag.REJECTED, 1)
    assert f"redirects to http://127.0.0.1:{elsewhere.port}/v1" in found.detail
    assert "hush" not in found.detail


def test_a_redirect_within_the_server_is_followed(connect, ask, server):
    def script(request):
        if "/moved" not in request.path:
            end = ":generateContent" if request.is_gemini else ""
            return Reply(b"", 307, {"location": f"{request.path.partition('?')[0]}/moved{end}"})
        return answer(request, verdict("0+1=2"))

    server.script = script
    assert connect().locate([ask()])[0].tag is Tag.FOUND
    assert len(server.requests) == 2


@pytest.mark.parametrize("query", ["api-key=hush-hush-hush", "v=1&token=hush-hush-hush", "sig=hush-hush-hush"])
def test_a_key_in_a_base_url_is_refused_like_a_password(query):
    with pytest.raises(UsageError, match=r"which config\.yaml would keep; set OPENAI_BASE_URL instead") as refused:
        load_config(None, {"cal_provider": "openai", "cal_base_url": f"http://judge/v1?{query}"})
    assert "hush-hush-hush" not in str(refused.value)
    load_config(None, {"cal_provider": "openai", "cal_base_url": "http://judge/v1?api-version=2024-02-01"})


def test_a_key_in_the_environments_base_url_is_told_to_nobody(ask, server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.openai}?api-key=hush-hush-hush")
    server.script = lambda r: error(r, 403, f"refused {json.dumps(r.path)} and hush-hush-hush")
    with CALOracle("openai", model="m", log=tmp_path / "judge.jsonl", api_key=KEY) as oracle:
        assert "hush" not in str(oracle.locate([ask()]))
    assert "hush" not in (tmp_path / "judge.jsonl").read_text()


def test_a_reply_has_an_end(connect, ask, server):
    server.script = lambda r: answer(r, verdict("x" * 3_000_000))
    long = connect(attempts=1).locate([ask()])[0]
    assert (long.tag, len(server.requests)) == (Tag.MALFORMED, 1)
    assert "longer than 1048576 bytes" in long.detail


@pytest.mark.parametrize("packed", [gzip.compress, zlib.compress])
def test_a_packed_reply_has_an_end_too(connect, ask, server, packed):
    """A server may pack what was asked for as it is; a thousandth of a gigabyte may come."""

    def script(request):
        encoding = {"content-encoding": "gzip" if packed is gzip.compress else "deflate"}
        if "0+1" in request.response:
            return Reply(packed(answer(request, verdict("0+1=2")).body), headers=encoding)
        return Reply(packed(b" " * 2**24), headers=encoding)

    server.script = script
    oracle = connect(attempts=1)
    found, long = oracle.locate([ask(0)])[0], oracle.locate([ask(1)])[0]
    assert (found.tag, long.tag) == (Tag.FOUND, Tag.MALFORMED)
    assert "longer than 1048576 bytes" in long.detail


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_what_cannot_be_unpacked_is_malformed(connect, ask, server, encoding):
    server.script = lambda r: Reply(b"\x8b\x02\x80[]\x03", headers={"content-encoding": encoding})
    assert (connect().locate([ask()])[0].tag, len(server.requests)) == (Tag.MALFORMED, 1)


@pytest.mark.parametrize("encoding", ["identity", "UTF-8", ""])
def test_what_is_not_packed_is_read_whatever_it_is_called(connect, ask, server, encoding):
    server.script = lambda r: answer(r, verdict("0+1=2"), headers={"content-encoding": encoding})
    assert connect().locate([ask()])[0].tag is Tag.FOUND


def test_a_password_of_the_environment_is_told_in_no_spelling(ask, server, monkeypatch):
    """The client sends it as Basic authorization, in place of the key."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.openai.replace("//", "//somebody:pw%40123@"))
    server.script = lambda r: error(r, 403, f"who is {r.headers['authorization']}?")
    with CALOracle("openai", model="m", api_key=KEY) as oracle:
        detail = oracle.locate([ask()])[0].detail
    assert base64.b64encode(b"somebody:pw@123").decode().rstrip("=") in server.requests[0].headers["authorization"]
    assert "who is Basic [key]" in detail


def test_a_proxy_s_password_is_told_in_no_spelling(connect, ask, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://somebody:pw%40123@127.0.0.1:{server.port}")
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.script = lambda r: error(r, 407, f"who is {r.headers['proxy-authorization']}?")
    detail = connect(base_url="http://127.0.0.2:9/v1").locate([ask()])[0].detail
    assert base64.b64encode(b"somebody:pw@123").decode() == server.requests[0].headers["proxy-authorization"].split()[1]
    assert "who is Basic [key]" in detail


def test_the_query_of_a_base_url_stands_behind_the_path(connect, ask, server, protocol):
    base = {"openai": server.openai, "gemini": f"{server.gemini}/deep"}[protocol]
    assert connect(base_url=f"{base}?api-version=2024-02-01&x=%26").locate([ask()])[0].tag is Tag.FOUND
    path, _, query = server.requests[0].path.partition("?")
    assert path.endswith(("/v1/chat/completions", ":generateContent"))
    assert parse_qs(query) == {"api-version": ["2024-02-01"], "x": ["&"]}
