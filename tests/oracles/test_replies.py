"""What servers and models really answer: read as a person would read it, and asked again where that may help."""

import json
from pathlib import Path

import pytest
from _judge_server import Reply, answer, error, verdict

from cal_grpo.oracles import Query, Tag
from cal_grpo.oracles.judges.settings import Settings

RESPONSE = "First $0.5+0.2=0.7$.\nThen $3 \\times 4 = 13$, and \\(x\\) is \\frac{1}{2}.\n#### 13"
QUERY = Query("What is 3 times 4?", "3*4=12\n#### 12", RESPONSE)
GOOD = '{"critique":"0.2 is wrong","segment":"$0.5+0.2=0.7$","hint":""}'
OTHER = GOOD.replace("$0.5+0.2=0.7$", "3*4=12")


def in_parts(*parts):
    """A chat completion whose content is a list."""

    def script(request):
        body = json.loads(answer(request, "").body)
        body["choices"][0]["message"]["content"] = list(parts)
        return Reply(json.dumps(body).encode())

    return script


@pytest.mark.parametrize(
    ("text", "segment"),
    [
        ('{"critique":"w","segment":"3 \\times 4 = 13","hint":""}', "3 \\times 4 = 13"),
        ('{"critique":"w","segment":"is \\frac{1}{2}","hint":""}', "is \\frac{1}{2}"),
        ('{"critique":"w","segment":"$3 \\\\\\\\times 4 = 13$","hint":""}', "$3 \\times 4 = 13$"),
        ('{"critique":"since \\(x\\) is wrong","segment":"$0.5+0.2=0.7$","hint":""}', "$0.5+0.2=0.7$"),
        ('{"critique":"line one\nline two\ta","segment":"$0.5+0.2=0.7$","hint":""}', "$0.5+0.2=0.7$"),
        (f"<think>\nLet me see {{x}} and {OTHER}\n</think>\n\n{GOOD}", "$0.5+0.2=0.7$"),
        (f"so {OTHER} hm </think> {GOOD}", "$0.5+0.2=0.7$"),
        (f"```json\n{GOOD}\n```\nLet me know.", "$0.5+0.2=0.7$"),
        (f"~~~ JSON5\n{GOOD}\n~~~", "$0.5+0.2=0.7$"),
        (f"Here is {{my}} verdict: {GOOD} Hope {{that}} helps.", "$0.5+0.2=0.7$"),
        (f"{GOOD}\n\nExample 2\nQuestion: ...\nAnswer: {OTHER}", "$0.5+0.2=0.7$"),
        (f"[{GOOD}]", "$0.5+0.2=0.7$"),
        (f'{{"verdict": {GOOD}}}', "$0.5+0.2=0.7$"),
        (json.dumps(GOOD), "$0.5+0.2=0.7$"),
        ("{'critique': 'it\\'s 0.2', 'segment': '$0.5+0.2=0.7$', 'hint': None,}", "$0.5+0.2=0.7$"),
        ('{"critique":"he says "0.5" here","segment":"$0.5+0.2=0.7$"}', "$0.5+0.2=0.7$"),
        ('{"critique":null,"segment":"$0.5+0.2=0.7$","hint":null}', "$0.5+0.2=0.7$"),
        ('{"Critique":"w","Segment":"$0.5+0.2=0.7$","Hint":""}', "$0.5+0.2=0.7$"),
    ],
    ids=lambda value: value[:30],
)
def test_an_answer_is_read_where_a_person_would_read_it(connect, server, text, segment):
    server.script = lambda r: answer(r, text)
    found = connect().locate([QUERY])[0]
    assert (found.tag, found.segment, found.detail, len(server.requests)) == (Tag.FOUND, segment, "", 1)


@pytest.mark.parametrize("nothing", ["null", '""', '"None"', '" n/a. "'])
def test_nothing_is_no_error_however_it_is_spelt(connect, server, nothing):
    server.script = lambda r: answer(r, f'{{"critique":"no mistake","segment":{nothing},"hint":null}}')
    assert connect().locate([QUERY])[0].tag is Tag.NO_ERROR


@pytest.mark.parametrize(
    "text",
    [
        GOOD[:40],
        '{"critique": "x", "segment": "set {1,2}, so',
        '{"critique": "x", "segment": "set {1,2}',
        f"<think> perhaps {GOOD}",
        '{"critique": "x"}',
        '{"segment": "$0.5+0.2=0.7$"}',
        "{" * 60_000,
        '{"a":' * 10_000,
    ],
    ids=lambda value: value[:30],
)
def test_what_has_no_end_or_is_something_else_is_malformed(connect, server, text):
    server.script = lambda r: answer(r, text)
    assert connect().locate([QUERY])[0].tag is Tag.MALFORMED


def test_content_in_parts(connect, server):
    thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": OTHER}]}
    server.script = in_parts(thoughts, {"type": "text", "text": GOOD[:20]}, {"type": "text", "text": GOOD[20:]})
    assert connect("openai").locate([QUERY])[0].segment == "$0.5+0.2=0.7$"
    server.script = in_parts({"type": "refusal", "refusal": "I cannot"})
    refused = connect("openai").locate([QUERY])[0]
    assert (refused.tag, refused.detail) == (Tag.REFUSED, "I cannot")


def cut_at(tokens, text):
    def script(request):
        body = json.loads(answer(request, text, tokens=(900, tokens)).body)
        if request.is_gemini:
            body["candidates"][0]["finishReason"] = "MAX_TOKENS"
        else:
            body["choices"][0]["finish_reason"] = "length"
        return Reply(json.dumps(body).encode())

    return script


def test_a_length_cut_says_which_limit_to_raise(connect, server):
    server.script = cut_at(80, GOOD[:40])
    detail = connect(max_answer_tokens=80).locate([QUERY])[0].detail
    assert "cut off after 80 tokens" in detail
    assert "oracle.max_answer_tokens=80: raise it" in detail
    assert "the server's own limit" in connect().locate([QUERY])[0].detail  # none was set
    assert "the server's own limit" in connect(max_answer_tokens=500).locate([QUERY])[0].detail  # its context was full
    server.script = cut_at(80, f"{GOOD}\n\n\n\n")  # complete all the same
    assert connect(max_answer_tokens=80).locate([QUERY])[0].tag is Tag.FOUND


def found_at(line):
    return lambda r: answer(r, verdict(line))


@pytest.mark.parametrize(
    ("quote", "where"),
    [("3*4=12", "in the reference solution"), ("times 4?", "in the question"),
     ("my own words are here", "in your own critique"), ("1234+1=4321", "the segment is not in the response")],
)  # fmt: skip
def test_a_quote_from_elsewhere_is_asked_for_once_more_with_the_reason(connect, server, tmp_path, quote, where):
    critique = "my own words are here"
    replies = iter([verdict(quote, critique), verdict("$0.5+0.2=0.7$", critique)])
    server.script = lambda r: answer(r, next(replies), tokens=(900, 60))
    log = tmp_path / "judge.jsonl"
    oracle = connect(cache=tmp_path / "c.db", log=log)
    found = oracle.locate([QUERY])[0]
    assert (found.segment, found.detail, found.usage.calls, found.usage.tokens) == ("$0.5+0.2=0.7$", "", 2, 1920)
    assert (oracle.spent.calls, oracle.retried) == (2, 1)
    first, again = server.requests
    assert where in again.prompt
    assert where not in first.prompt
    assert again.system == first.system
    assert again.response == first.response == RESPONSE
    oracle.close()
    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    assert [(line["tag"], line["attempt"], line["final"]) for line in lines] == [("malformed", 1, False), ("found", 2, True)]
    assert sum(line["calls"] for line in lines) == 2
    once_more = connect(cache=tmp_path / "c.db")
    assert once_more.locate([QUERY])[0].cached
    assert len(server.requests) == 2


def test_a_quote_that_stays_elsewhere_is_asked_for_as_often_as_allowed_and_no_more(connect, server, told):
    server.script = found_at("3*4=12")
    for allowed in (0, 1, 3):
        server.requests.clear()
        found = connect(ask_again=allowed).locate([QUERY])[0]
        assert (found.tag, found.segment, len(server.requests)) == (Tag.FOUND, "3*4=12", 1 + allowed)
        assert "in the reference solution" in found.detail


def test_an_unusable_answer_is_better_than_none(connect, server):
    server.script = lambda r: answer(r, verdict("3*4=12")) if len(server.requests) == 1 else error(r, 403)
    found = connect().locate([QUERY])[0]
    assert (found.tag, found.segment, found.usage.calls) == (Tag.FOUND, "3*4=12", 2)


def test_asking_again_is_within_the_budget(connect, server, ask):
    server.script = found_at("nowhere at all")
    oracle = connect(max_calls=5, concurrency=4)
    oracle.locate([ask(i) for i in range(8)])
    assert len(server.requests) == oracle.spent.calls == 5


def test_steps_by_number(connect, server, protocol):
    server.script = lambda r: answer(r, json.dumps({"critique": "it is 12", "step": 2}))
    found = connect(style="steps").locate([QUERY])[0]
    assert (found.tag, found.segment, len(server.requests)) == (Tag.FOUND, RESPONSE.splitlines()[1], 1)
    request = server.requests[0]
    assert request.response == "\n".join(f"[{i}] {line}" for i, line in enumerate(RESPONSE.splitlines(), 1))
    body = request.body
    schema = (
        body["generationConfig"]["responseJsonSchema"]
        if protocol == "gemini"
        else body["response_format"]["json_schema"]["schema"]
    )
    assert schema["properties"]["step"] == {"type": "integer", "enum": [0, 1, 2, 3]}


@pytest.mark.parametrize(
    ("step", "tag"),
    [(0, "no_error"), ("3", "found"), ("[1]", "found"), ("step 2", "found"), (2.0, "found"), ("[2] so 2", "found"),
     ("Step 2: so 2", "found"), (4, "malformed"),
     (2.5, "malformed"), ("2 or 3", "malformed"), ("2.5. so", "malformed"),
     (-1, "malformed"), ("the second", "malformed"), (None, "malformed"), (True, "malformed"), ([1], "malformed")],
)  # fmt: skip
def test_a_step_is_a_number_of_the_response_however_it_is_spelt(connect, server, step, tag):
    server.script = lambda r: answer(r, json.dumps({"critique": "", "step": step}))
    assert str(connect("openai", style="steps").locate([QUERY])[0].tag) == tag


def test_the_twin_of_a_step_is_told_from_it(connect, server):
    server.script = lambda r: answer(r, json.dumps({"critique": "", "step": 3}))
    found = connect("openai", style="steps").locate([Query("q", "r", "a 1+1=3\nb 2+2=5\na 1+1=3")])[0]
    assert (found.segment, found.hint) == ("a 1+1=3", "a 1+1=3\nb 2+2=5\n")


# What servers say about a setting, and what they say about a request.


def test_json_object_is_asked_for_where_the_server_knows_that(connect, ask, server):
    """llama-cpp-python answers 500 and FastAPI's own 422."""
    complaint = [
        {"type": "literal_error", "loc": ["body", "response_format", "type"], "msg": "Input should be 'text' or 'json_object'"}
    ]
    for status, body in (
        (500, {"error": {"message": str(complaint), "type": "internal_server_error", "param": None, "code": None}}),
        (422, {"detail": complaint}),
    ):

        def script(request, status=status, body=body):
            if request.body.get("response_format", {}).get("type") == "json_schema":
                return Reply(json.dumps(body).encode(), status)
            return answer(request, verdict(request.response.splitlines()[0]))

        server.script = script
        server.requests.clear()
        oracle = connect("openai", attempts=1)  # it is not what attempts are for
        assert [v.tag for v in oracle.locate([ask(0)]) + oracle.locate([ask(1)])] == [Tag.FOUND] * 2
        assert [r.body["response_format"]["type"] for r in server.requests] == ["json_schema", "json_object", "json_object"]


TOO_LONG = [
    "'max_tokens' or 'max_completion_tokens' is too large: 400. This model's maximum context length is 2048 tokens and your "
    "request has 1900 input tokens (400 > 2048 - 1900).",
    "max_tokens must be at least 1, got -252.",
    "This model's maximum context length is 2048 tokens. However, you requested 2300 tokens (1900 in the messages, 400 in the "
    "completion). Please reduce the length of the messages or max_tokens.",
    "the request exceeds the available context size, try increasing it",
]


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("message", TOO_LONG)
def test_a_prompt_that_is_too_long_changes_no_setting(connect, ask, server, status, message):
    def script(request):
        if "0+1" in request.response:
            return error(request, status, message)
        return answer(request, verdict(request.response.splitlines()[0]))

    server.script = script
    oracle = connect("openai", max_answer_tokens=400, attempts=1)
    first, second = oracle.locate([ask(0)])[0], oracle.locate([ask(1)])[0]
    assert first.tag is (Tag.UNAVAILABLE if status == 500 else Tag.REJECTED)
    assert message[-30:] in first.detail  # the whole of it
    assert second.tag is Tag.FOUND
    assert {"max_tokens", "response_format", "temperature"} <= server.requests[-1].body.keys()
    assert len(server.requests) == 2


def test_what_an_error_echoes_of_the_question_says_nothing(connect, server):
    query = Query("q", "r", "The temperature of the grammar is not supported.\nSo max_tokens is unknown: 1+1=3")
    server.script = lambda r: error(r, 400, f"invalid content in messages: {r.response}")
    oracle = connect("openai", max_answer_tokens=400)
    assert oracle.locate([query])[0].tag is Tag.REJECTED
    server.script = lambda r: Reply(
        json.dumps({"detail": [{"loc": ["body", "messages"], "msg": "invalid", "input": "temperature max_tokens"}]}).encode(),
        422,
    )
    assert oracle.locate([query])[0].tag is Tag.REJECTED
    assert {"max_tokens", "response_format", "temperature"} <= server.requests[-1].body.keys()
    assert len(server.requests) == 2


def test_the_field_that_an_error_names_decides(connect, ask, server):
    def script(request):
        body = {"message": "temperature of the model is not supported", "param": "messages"}
        return Reply(json.dumps({"error": body}).encode(), 400)

    server.script = script
    assert connect("openai").locate([ask()])[0].tag is Tag.REJECTED
    assert len(server.requests) == 1


SPENT = {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}


@pytest.mark.parametrize(
    "body", [{"error": SPENT}, [{"error": SPENT}], SPENT, {"detail": SPENT}, {"detail": [{"error": SPENT}]}]
)
def test_a_quota_that_is_used_up_is_not_tried_again(connect, ask, server, body):
    server.script = lambda r: Reply(json.dumps(body).encode(), 429)
    spent = connect().locate([ask()])[0]
    assert (spent.tag, len(server.requests)) == (Tag.REJECTED, 1)
    assert "exceeded your current quota" in spent.detail


def test_an_error_that_comes_as_a_success_is_told(connect, ask, server):
    server.script = lambda r: Reply(b'{"error": {"message": "Provider returned error", "code": 502}}')
    found = connect("openai").locate([ask()])[0]
    assert (found.tag, len(server.requests)) == (Tag.MALFORMED, 1)
    assert "no choices, but an error: " in found.detail
    assert "Provider returned error" in found.detail


SETTING = [
    ("response_format", "This model doesn't support json_schema."),
    ("response_format", "json_schema is not yet supported"),
    ("response_format", "response_format isn't available here"),
    ("response_format", "response_format: value is not a valid enumeration member; permitted: 'text'"),
    ("temperature", "The 'temperature' parameter is deprecated for this model."),
    ("temperature", "temperature does not apply to this model"),
    ("max_tokens", "'max_tokens' is no longer supported"),
    ("max_tokens", "No such parameter: max_tokens"),
]


@pytest.mark.parametrize("wrapped", ["error.message", "error", "detail", "text", "list"])
@pytest.mark.parametrize(("name", "message"), SETTING)
def test_a_setting_that_is_refused_in_other_words(name, message, wrapped):
    bodies = {
        "error.message": {"error": {"message": message}}, "error": {"error": message}, "detail": {"detail": message},
        "text": message, "list": [{"error": {"message": message}}],
    }  # fmt: skip
    settings = Settings(0.0, 400)
    sent = settings.to_send({})
    assert (settings.learn(sent, bodies[wrapped], Query("q", "r", "a")) or "").startswith(name.partition("_")[0])
    assert sent.keys() - settings.to_send({}).keys() == {name}


@pytest.mark.parametrize(
    "body",
    [b'{"error": "model m not found\\ntry pulling it"}',
     b'{"detail": "model m not found, try pulling it"}', b'["not found", "try"]',
     b"model m not found\n\ntry pulling it", b'{"detail": [{"loc": ["body", "model"], "msg": "not found", "input": "try"}]}'],
)  # fmt: skip
def test_all_of_an_error_is_told_wherever_it_stands(connect, ask, server, body):
    server.script = lambda r: Reply(body, 404)
    told = connect("openai").locate([ask()])[0].detail
    assert told.startswith("Error code: 404 - ")
    assert "not found" in told
    assert "try" in told


def test_of_an_error_of_a_megabyte_the_first_lines_are_read():
    """It is read on an event loop that others wait for. What is cut in two is not read: it could be an echo."""
    settings, query = Settings(0.0, None), Query("q", "r", "temperature is not supported " * 3)
    sent, echo = {"temperature": 0.0}, "temperature is not supported " * 50_000
    for message in (echo, f"{query.response}\n{echo}", f"no\n{'x' * 10**6}\ntemperature is not supported"):
        assert settings.learn(sent, {"error": {"message": message}}, query) is None
    message = f"temperature is not supported.\n{'x' * 10**6}"
    assert settings.learn(sent, {"error": {"message": message}}, query) == "temperature, left out from now on"
