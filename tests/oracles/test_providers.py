"""What each provider sends, and what it makes of every kind of reply."""

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from _judge_server import Reply, answer, error, verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag
from cal_grpo.oracles.judges.replies import retry_after, retry_delay

KEY = "sk-0123456789-secret"


def test_an_answer_becomes_a_verdict_with_its_usage(connect, ask, server, protocol):
    server.script = lambda r: answer(r, verdict("0+1=2", "it is 1", "so "), tokens=(700, 50), latency_s=0.05)
    found = connect().locate([ask()])[0]
    assert (found.tag, found.segment, found.critique, found.hint) == (Tag.FOUND, "0+1=2", "it is 1", "so ")
    assert (found.usage.calls, found.usage.prompt_tokens, found.usage.completion_tokens) == (1, 700, 50)
    assert found.usage.latency_s >= 0.05
    request = server.requests[0]
    assert request.response == ask().response
    if protocol == "gemini":
        config = request.body["generationConfig"]
        assert config["temperature"] == 0
        schema = config["responseJsonSchema"]
        assert request.headers["x-goog-api-key"] == KEY
    else:
        assert request.body["temperature"] == 0
        schema = request.body["response_format"]["json_schema"]["schema"]
        assert request.headers["authorization"] == f"Bearer {KEY}"
    assert list(schema["properties"]) == schema["required"] == ["critique", "segment", "hint"]


def test_gemini_bills_thinking_as_output(connect, ask, server):
    def script(request):
        reply = json.loads(answer(request, verdict("0+1=2"), tokens=(100, 10)).body)
        reply["usageMetadata"]["thoughtsTokenCount"] = 500
        return Reply(json.dumps(reply).encode())

    server.script = script
    usage = connect("gemini", model="gemini-2.5-flash").locate([ask()])[0].usage
    assert usage.completion_tokens == 510
    assert usage.usd == pytest.approx((100 * 0.30 + 510 * 2.50) / 1e6)


@pytest.mark.parametrize(
    ("status", "tag"),
    [(400, "rejected"), (401, "rejected"), (403, "rejected"), (404, "rejected"), (408, "timeout"), (429, "rate_limited"),
     (500, "unavailable"), (503, "unavailable"), (504, "timeout"), (529, "unavailable")],
)  # fmt: skip
def test_each_status_has_its_tag_and_the_client_sends_it_once(connect, ask, server, status, tag):
    server.script = lambda r: error(r, status, "no")
    failed = connect(attempts=1).locate([ask()])[0]
    assert (str(failed.tag), failed.usage.calls, len(server.requests)) == (tag, 1, 1)


@pytest.mark.parametrize("fault", ["reset", "cut"])
def test_a_dropped_connection_is_unavailable(connect, ask, server, fault):
    server.script = lambda r: answer(r, verdict("x"), fault=fault)
    assert connect(attempts=1).locate([ask()])[0].tag is Tag.UNAVAILABLE
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_unavailable(connect, ask):
    assert connect(attempts=1, base_url="http://127.0.0.1:9").locate([ask()])[0].tag is Tag.UNAVAILABLE


def test_the_time_limit_is_on_the_whole_call(connect, ask, server):
    server.script = lambda r: answer(r, verdict("x"), latency_s=5)
    began = time.monotonic()
    assert connect(attempts=1, timeout_s=0.3).locate([ask()])[0].tag is Tag.TIMEOUT
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("", "malformed"),
        ("not json", "malformed"),
        ('{"critique": "x", "segment": "0+1', "malformed"),
        ('{"segment": "0+1=2"}', "malformed"),
        ('{"critique": 5, "segment": "0+1=2", "hint": ""}', "malformed"),
        ('["0+1=2"]', "malformed"),
        ("[" * 100_000, "malformed"),
        (verdict("x" * 5_000_000), "malformed"),
        (verdict(""), "no_error"),
        (verdict("  \n"), "no_error"),
        (f"```json\n{verdict('0+1=2')}\n```", "found"),
        ('{"critique": "\\ud800", "segment": "0+1=2\\udfff", "hint": ""}', "found"),
    ],
    ids=lambda value: value[:20],
)
def test_each_answer_has_its_tag(connect, ask, server, text, tag):
    server.script = lambda r: answer(r, text)
    found = connect().locate([ask()])[0]
    assert (str(found.tag), len(server.requests)) == (tag, 1)  # asked once: what is malformed was paid for
    assert len(found.detail) <= 200
    json.dumps([found.critique, found.segment, found.detail], ensure_ascii=False).encode("utf-8")
    if found.tag.is_failure:
        assert found.detail


def test_refusals_and_safety_blocks(connect, ask, server, protocol):
    bodies = {
        "openai": [
            {"choices": [{"message": {"refusal": "I cannot"}, "finish_reason": "stop"}]},
            {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]},
        ],
        "gemini": [
            {"promptFeedback": {"blockReason": "SAFETY"}},
            {"candidates": [{"finishReason": "SAFETY"}]},
        ],
    }[protocol]
    for body in bodies:
        server.script = lambda r, body=body: Reply(json.dumps(body).encode())
        assert connect().locate([ask()])[0].tag is Tag.REFUSED


_NAMES = [
    *("choices", "message", "content", "usage", "prompt_tokens"),
    *("candidates", "parts", "text", "usageMetadata", "promptTokenCount", "finishReason", "promptFeedback"),
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=3),
    max_leaves=12,
)


@pytest.fixture
def any_body(connect, server):
    oracle = connect(breaker_failures=0, attempts=1)
    count = iter(range(10**6))

    def ask_for(body):
        server.script = lambda r: Reply(body)
        return oracle.locate([Query("q", "r", f"response {next(count)}")])[0]

    return ask_for


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=40) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises_or_becomes_a_verdict(any_body, body):
    assert any_body(body).tag.is_failure


def test_the_key_is_nowhere(connect, ask, server, told, tmp_path):
    def echo(request):
        if len(server.requests) % 2:
            return error(request, 401, f"wrong key {KEY} " + f"{'x' * 170}{KEY}")
        return answer(request, verdict(f"{KEY} 0+1=2", f"saw {KEY}"))

    server.script = echo
    oracle = connect(cache=tmp_path / "c.db", log=tmp_path / "judge.jsonl", breaker_failures=1, breaker_pause_s=0.01)
    verdicts = [oracle.locate([ask(i)])[0] for i in range(4) if time.sleep(0.02) is None]
    oracle.close()
    assert {v.tag for v in verdicts} == {Tag.REJECTED, Tag.FOUND}
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"[key]" in written
    assert KEY.encode() not in written
    assert "0123456789" not in f"{verdicts} {told} {written!r}"


def test_an_openai_server_that_knows_no_schema_is_asked_without(connect, ask, server):
    def script(request):
        if "response_format" in request.body:
            return error(request, 400, "response_format of type json_schema is not supported")
        if "temperature" in request.body:
            return error(request, 400, "Unsupported value: 'temperature' does not support 0")
        return answer(request, verdict(request.response.splitlines()[0]))

    server.script = script
    oracle = connect("openai")
    first = oracle.locate([ask()])[0]
    assert (first.tag, first.usage.calls) == (Tag.FOUND, 3)
    assert oracle.locate([ask(1)])[0].usage.calls == 1  # remembered


def test_the_length_of_an_answer_can_be_limited(connect, ask, server, protocol):
    def script(request):
        if "max_tokens" in request.body and protocol == "openai":
            return error(request, 400, "Unsupported parameter: 'max_tokens'; use 'max_completion_tokens' instead")
        return answer(request, verdict("0+1=2"))

    server.script = script
    assert connect(max_answer_tokens=77).locate([ask()])[0].tag is Tag.FOUND
    body = server.requests[-1].body
    assert (body["generationConfig"]["maxOutputTokens"] if protocol == "gemini" else body["max_completion_tokens"]) == 77


def test_any_other_400_is_not_asked_again(connect, ask, server):
    server.script = lambda r: error(r, 400, "context length exceeded")
    assert connect("openai").locate([ask()])[0].tag is Tag.REJECTED
    assert len(server.requests) == 1


def test_retry_after_is_read_as_seconds_and_as_a_date():
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert retry_after({"retry-after": "-3"}) == 0.0
    for nonsense in ("soon", "inf", "nan", ""):
        assert retry_after({"retry-after": nonsense}) is None
    assert retry_after({}) is None
    assert retry_after(None) is None
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < retry_after({"retry-after": date}) <= 30
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=30), usegmt=True)
    assert retry_after({"retry-after": past}) == 0.0


def test_retry_delay_is_read_from_a_gemini_error():
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    assert retry_delay({"error": {"details": [{"@type": "other"}, info]}}) == 34.5
    for other in (
        None,
        [],
        {},
        {"error": {}},
        {"error": {"details": [info | {"retryDelay": "soon"}]}},
        {"error": {"details": 3}},
    ):
        assert retry_delay(other) is None


@pytest.mark.parametrize(
    ("provider", "settings", "message"),
    [
        ("gemini", {}, "set GEMINI_API_KEY"),
        ("openai", {"model": "m"}, "set OPENAI_API_KEY"),
        ("openai", {}, "got no model"),
        ("opnai", {}, "did you mean 'openai'"),
        (object(), {}, "expected a name or an object"),
    ],
)
def test_what_is_missing_is_one_line(monkeypatch, provider, settings, message):
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=message) as error:
        CALOracle(provider, **settings)
    assert "\n" not in str(error.value)


def test_a_local_server_needs_no_key(monkeypatch, server, ask):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with CALOracle("openai", model="m", base_url=server.openai) as oracle:
        assert oracle.locate([ask()])[0].tag is Tag.FOUND
