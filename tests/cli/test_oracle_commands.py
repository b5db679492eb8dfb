"""``cal-grpo oracle`` and ``cal-grpo cache``, as a person or a script runs them."""

import json

import pytest
from _judge_server import JudgeServer, answer, error, verdict
from typer.testing import CliRunner

from cal_grpo.cli.app import app
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query

KEY = "sk-0123456789-secret"
ASK = ["oracle", "ask", "--question", "2+3*4?", "--reference", "3*4=12\n2+12=14", "--response", "2+3=5\n5*4=20"]


@pytest.fixture
def server():
    with JudgeServer() as running:
        yield running


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def command(*words, **settings):
        result = CliRunner().invoke(app, [str(w) for w in words], **settings)
        if isinstance(result.exception, UsageError):
            return 2, "", str(result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout, result.stderr

    return command


def test_ask_shows_the_verdict_its_span_cost_and_latency(run, server):
    server.script = lambda r: answer(r, verdict("5*4=20", "3*4 comes first"), tokens=(700, 40))
    status, out, _ = run(*ASK, "--oracle", "openai", "--judge-model", "gpt-4o-mini", "--base-url", server.openai)
    assert status == 0
    assert "found  openai, 0." in out
    assert "700 + 40 tokens, $0.000129" in out  # 700 x 0.15 + 40 x 0.60 per million
    assert "3*4 comes first\n2+3=5\n⟦5*4=20⟧" in out


def test_ask_as_json(run, server):
    server.script = lambda r: answer(r, verdict("5 * 4 = 20"))
    status, out, _ = run(*ASK, "--oracle", "openai", "--judge-model", "m", "--base-url", server.openai, "--json")
    shown = json.loads(out)
    assert (status, shown["tag"], shown["span"], shown["usd"]) == (0, "found", [6, 12], None)


def test_ask_with_a_free_oracle_needs_nothing(run):
    status, out, _ = run(*ASK)
    assert status == 0
    assert "found  reference, no call" in out


def test_ask_obeys_nothing_that_a_model_says_to_the_terminal(run, server):
    server.script = lambda r: answer(r, verdict("not there \x1b[2J", "[bold]\x1b]0;title\x07 critique"))
    _, out, _ = run(*ASK, "--oracle", "openai", "--judge-model", "m", "--base-url", server.openai)
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]" in out
    assert "the quote is not in the response" in out


@pytest.mark.parametrize("seconds", [-1, 0, "nan"])
def test_a_time_limit_is_above_zero(run, seconds):
    status, _, err = run(*ASK, "--timeout", seconds)
    assert status == 2
    assert "'--timeout'" in err


def test_a_failed_question_is_status_1(run, server):
    server.script = lambda r: error(r, 401, f"bad key {KEY}")
    status, out, _ = run(*ASK, "--oracle", "openai", "--judge-model", "m", "--base-url", server.openai)
    assert status == 1
    assert "rejected" in out
    assert KEY not in out


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (lambda r: answer(r, verdict("2 + 3 = 6")), 0, ["works and finds the error of a small example"]),
        (lambda r: answer(r, verdict("")), 0, ["works and says no_error"]),
        (lambda r: error(r, 401, f"bad key {KEY}"), 1, ["does not work", "check key, model name and endpoint", "401"]),
        (lambda r: error(r, 404, "no such model"), 1, ["does not work", "no such model"]),
        (lambda r: error(r, 429), 1, ["does not work", "limit of the key"]),
        (lambda r: answer(r, "chatter"), 1, ["key and endpoint work", "not JSON"]),
    ],
)
def test_check_says_in_a_line_what_works(run, server, script, status, words):
    server.script = script
    url = server.openai.replace("http://", "http://user:password@") + "?token=secret"
    got, out, err = run("oracle", "check", "--oracle", "openai", "--judge-model", "m", "--base-url", url)
    line = out or err
    assert got == status
    assert line.count("\n") == 1
    assert line.startswith(f"openai, model m, at http://127.0.0.1:{server.port}/v1: ")
    assert all(word in line for word in words)
    assert not any(word in line for word in (KEY, "password", "secret"))
    assert len(server.requests) == 1
    got, out, _ = run("oracle", "check", "--oracle", "openai", "--judge-model", "m", "--base-url", url, "--json")
    assert (got, json.loads(out)["works"]) == (status, status == 0)


def test_check_names_what_is_missing(run, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert run("oracle", "check", "--oracle", "openai", "--judge-model", "m")[0] == 2
    status, _, err = run("oracle", "check", "--oracle", "openai", "--judge-model", "m", "--base-url", "http://127.0.0.1:9/v1")
    assert status == 1
    assert "not reached" in err


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_a_server_without_a_scheme_is_told_without_its_secrets(run, monkeypatch, provider):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    url = "me:hush@localhost:80/v1?key=hush"
    status, _, err = run("oracle", "check", "--oracle", provider, "--judge-model", "m", "--base-url", url)
    assert status == 2
    assert err == (
        "base URL 'localhost:80/v1' has no http:// or https:// before it; expected one, such as http://localhost:80/v1"
    )


def test_stats_export_and_prune(run, server, tmp_path):
    status, _, err = run("cache", "stats")
    assert status == 2
    assert "no such file" in err
    assert run("cache", "export", "--output", tmp_path / "out.jsonl")[0] == 2
    assert not (tmp_path / "out.jsonl").exists()
    with CALOracle("openai", model="gpt-4o-mini", base_url=server.openai, cache=True) as oracle:
        oracle.locate([Query(f"q{i}", "r", "x") for i in range(3)])
    assert "3 verdicts" in run("cache", "stats")[1]
    assert json.loads(run("cache", "stats", "--json")[1])["oracles"][0]["verdicts"] == 3
    rows = [json.loads(line) for line in run("cache", "export")[1].splitlines()]
    assert {row["question"] for row in rows} == {"q0", "q1", "q2"}
    target = tmp_path / "out.jsonl"
    assert run("cache", "export", "--output", target)[1] == f"3 verdicts written to {target}\n"
    assert len(target.read_text().splitlines()) == 3
    assert "name a file that is not there yet" in run("cache", "export", "--output", target)[2]
    assert "got no condition" in run("cache", "prune")[2]
    assert "0 verdicts deleted" in run("cache", "prune", "--older-than", 1, "--yes")[1]
    for days in (-1, "nan", "1e300"):
        assert run("cache", "prune", "--older-than", days, "--yes")[0] == 2
    assert run("cache", "prune", "--all", input="n\n")[0] == 1
    assert json.loads(run("cache", "stats", "--json")[1])["verdicts"] == 3
    assert json.loads(run("cache", "prune", "--model", "gpt-4o-mini", "--yes", "--json")[1])["deleted"] == 3
    assert "0 verdicts" in run("cache", "stats")[1]
