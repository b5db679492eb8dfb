"""``cal-grpo oracle bench`` as a person or a script runs it."""

import json

import pytest
from _judge_server import JudgeServer, answer, error, verdict
from typer.testing import CliRunner

from cal_grpo.cli.app import app
from cal_grpo.errors import UsageError

ROWS = [
    # two people about one solution: "3 + 1 = 9" is false in the second step
    ("1 + 1 = 2\n3 + 1 = 9\nA: 9", [[0, 9], [10, 19], [20, 24]], 1, "a"),
    ("1 + 1 = 2\n3 + 1 = 9\nA: 9", [[0, 9], [10, 19], [20, 24]], 2, "a"),
    ("1 + 1 = 5\nA: 5", [[0, 9], [10, 14]], 0, "b"),
]


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "rows.jsonl"
    names = ("response", "step_spans", "first_error_step", "solution_key")
    about = {"question": "What is [b]3+1[/b]?", "reference_solution": "3 + 1 = 4"}
    file.write_text("\n".join(json.dumps(about | dict(zip(names, row, strict=True))) for row in ROWS))
    return file


@pytest.fixture
def bench(monkeypatch, tmp_path, data):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789-secret")
    monkeypatch.setenv("COLUMNS", "80")

    def command(*words):
        result = CliRunner().invoke(app, ["oracle", "bench", "--data", str(data), *map(str, words)])
        if isinstance(result.exception, UsageError):
            return 2, str(result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout

    return command


def test_the_table_fits_80_columns(bench):
    status, out = bench("--oracle", "arithmetic")
    assert status == 0
    assert "arithmetic on rows.jsonl: 3 labels of 2 solutions" in out
    assert "exact first error          66.7%" in out
    assert "not later than it         100.0%" in out
    assert "two people: 0.0% of 1 pair" in " ".join(out.split())
    assert "no calls" in out
    assert max(map(len, out.splitlines())) <= 80


def test_json_has_every_rate_between_0_and_1(bench):
    status, out = bench("--oracle", "arithmetic", "--json")
    shown = json.loads(out)
    assert (status, shown["oracle"], shown["n"], shown["solutions"]) == (0, "arithmetic", 3, 2)
    assert shown["exact"]["value"] == 0.6667
    assert shown["early"]["value"] == 0.3333
    assert {"within_one", "late", "abstained", "precision_when_answering", "label_agreement", "floors"} <= shown.keys()
    for name in ("exact", "within_one", "early", "late", "abstained", "precision_when_answering"):
        assert 0 <= shown[name]["low"] <= shown[name]["value"] <= shown[name]["high"] <= 1


def test_misses_are_shown_with_both_spans_marked(bench):
    _, out = bench("--oracle", "arithmetic", "--show", 5)
    assert "miss 1: 1 step too early" in out
    assert "question: What is [b]3+1[/b]?" in out  # as it is, not as markup
    assert "⟦3 + 1 = 9⟧\n⟨A: 9⟩" in out
    assert "miss 2" not in out


def test_an_llm_is_asked_once_a_solution_and_its_cost_told(bench):
    with JudgeServer() as server:
        server.script = lambda r: answer(r, verdict(r.response.split("\n")[0]), tokens=(100, 20))
        words = ("--oracle", "openai", "--judge-model", "gpt-4o-mini", "--base-url", server.openai, "--no-cache")
        _, out = bench(*words, "--json")
        shown = json.loads(out)
        assert (shown["calls"], shown["tokens"], shown["exact"]["value"]) == (2, 240, 0.3333)
        assert shown["usd"] == 0.000054  # 2 x (100 x 0.15 + 20 x 0.60) per million
        _, out = bench(*words)
        assert "2 calls, $0.0001" in out


def by_style(request):
    """The first step in the direct style, the second in the steps style; a repair that repairs nothing."""
    fields = request.body["response_format"]["json_schema"]["schema"]["properties"]
    text = request.response
    said = {"critique": "", "segment": text.split("\n")[0], "step": 2, "hint": "", "corrected": text}
    return answer(request, json.dumps({name: said[name] for name in fields}), tokens=(100, 20))


def test_styles_are_one_table_paired_by_rows_with_a_file_each(bench, tmp_path):
    output = tmp_path / "bench.jsonl"
    words = ("--oracle", "openai", "--judge-model", "gpt-4o-mini", "--no-cache", "--output", output)
    with JudgeServer(by_style) as server:
        words = (*words, "--base-url", server.openai, "--style", "direct,steps")
        status, out = bench(*words, "--style", "repair")
        assert (status, len(server.requests)) == (0, 6)
        shown = json.loads(bench(*words, "--style", "repair", "--json")[1])
        assert len(server.requests) == 6  # resumed, each from its own file
    assert max(map(len, out.splitlines())) <= 80
    told = {line[:24].strip(): line[24:].split() for line in out.splitlines()}
    assert told["floor: random step"] == ["38.9%"]
    assert out.splitlines()[1].split() == ["direct", "steps", "repair"]
    # Labels are at the second, third and first step: direct names the first, steps the second, repair none
    assert [cell for cell in told["exact first error"] if "%" in cell] == ["33.3%", "33.3%", "0.0%"]
    assert [cell for cell in told["not later than it"] if "%" in cell] == ["100.0%", "66.7%", "0.0%"]
    assert told["exact, less direct"][0] == "+0.0"
    assert told["calls"] == ["2", "2", "2"]
    assert told["USD"] == ["0.0001"] * 3
    assert list(shown["styles"]) == ["direct", "steps", "repair"]
    assert [shown["less_direct"][style]["not_later"]["value"] for style in ("steps", "repair")] == [-0.3333, -1.0]
    for style in ("direct", "steps", "repair"):
        lines = [json.loads(line) for line in output.with_stem(f"bench-{style}").read_text().splitlines()]
        assert sorted(line["row"] for line in lines) == [1, 2, 3]
        assert {line["judge"]["prompt"].partition("-")[0] for line in lines} == {style}
    assert not output.exists()


def test_a_style_that_there_is_not_is_one_line_before_anything_is_asked(bench):
    with JudgeServer(by_style) as server:
        words = ("--oracle", "openai", "--judge-model", "m", "--base-url", server.openai)
        status, error = bench(*words, "--style", "direct,stps")
        assert (status, error) == (2, "prompt style is 'stps'; expected one of direct, repair, steps")
        assert not server.requests


def test_the_budget_is_for_all_styles_together(bench, tmp_path):
    words = ("--oracle", "openai", "--judge-model", "gpt-4o-mini", "--no-cache", "--output", tmp_path / "b.jsonl")
    with JudgeServer(by_style) as server:
        words = (*words, "--base-url", server.openai, "--style", "direct,steps", "--concurrency", 1, "--max-usd")
        status, error = bench(*words, 0.00005)  # two calls are $0.000054
        assert (status, len(server.requests)) == (2, 2)
        assert error.startswith("the budget of $5e-05 is spent before style steps; go on with a larger --max-usd")
        assert bench(*words, 1)[0] == 0
        assert len(server.requests) == 4


def test_what_the_output_holds_is_not_asked_again(bench, tmp_path):
    output = tmp_path / "new" / "bench.jsonl"
    words = ("--oracle", "openai", "--judge-model", "gpt-4o-mini", "--no-cache", "--output", output, "--json")
    with JudgeServer() as server:
        server.script = lambda r: answer(r, verdict(r.response.split("\n")[0]), tokens=(100, 20))
        _, first = bench(*words, "--base-url", server.openai)
        calls = len(server.requests)
        _, second = bench(*words, "--base-url", server.openai)
        assert len(server.requests) == calls == 2
        status, error = bench(*words, "--base-url", server.openai, "--style", "steps")
        assert (status, len(server.requests)) == (2, calls)
        assert "choose another file" in error
    first, second = json.loads(first), json.loads(second)
    assert (second["calls"], second["usd"], second["exact"]) == (2, 0.000054, first["exact"])
    assert sorted(json.loads(line)["row"] for line in output.read_text().splitlines()) == [1, 2, 3]


def test_corrections_are_asked_for_and_graded(bench, data):
    rows = [json.loads(line) | {"answer": 4} for line in data.read_text().splitlines()]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def judge(request):
        right = "3 + 1 = 4\nA: 4" if "9" in request.response else "1 + 1 = 2\nA: 2"
        wrong = next(line for line in request.response.split("\n") if line in ("3 + 1 = 9", "1 + 1 = 5"))
        return answer(request, json.dumps({"critique": "", "segment": wrong, "hint": "", "correction": right}))

    with JudgeServer() as server:
        server.script = judge
        words = ("--oracle", "openai", "--judge-model", "m", "--base-url", server.openai, "--no-cache", "--corrections")
        told = json.loads(bench(*words, "--json")[1])["corrections"]
        assert (told["given"], told["graded"], told["right"]["value"]) == (3, 3, 0.6667)
        _, out = bench(*words)
    assert "corrections graded right   66.7%" in out
    assert "2 calls, price unknown" in out
    assert max(map(len, out.splitlines())) <= 80


def test_processbench_is_read_as_it_is(bench, data):
    row = {"id": "x", "problem": "?", "steps": ["1 + 1 = 2", "so 2 + 1 = 4"], "final_answer_correct": False, "label": 1}
    data.write_text(json.dumps([row, row | {"label": -1}]))
    _, out = bench("--oracle", "arithmetic")
    assert out.splitlines()[0].rstrip() == "arithmetic on rows.jsonl: 1 row"
    assert "rows left out" in out
    assert "no step is marked wrong: 1" in " ".join(out.split())


def test_a_cascade_says_who_answered(bench):
    _, out = bench("--oracle", "arithmetic > reference", "--json")
    shares = json.loads(out)["shares"]
    assert shares["answered"] == {"1 arithmetic": 2, "2 reference": 0, "none": 0}
    assert shares["saved"] == {"2 reference": 2}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--oracle", "refrence"), "did you mean 'reference'"),
        (("--oracle", "reference@x > openai"), "'x' is no confidence"),
        (("--oracle", "0 x reference"), "0 critiques; expected 1 to 15"),
        (("--oracle", "local"), "got no model"),
        (("--model", "nowhere"), "model_id is 'nowhere': no such folder"),
    ],
)
def test_what_is_wrong_is_one_line(bench, words, said):
    status, error = bench(*words)
    assert status == 2
    assert said in error
    assert "\n" not in error


@pytest.mark.parametrize("line", ["openai", "2 x openai", "arithmetic@0.99 > openai"])
def test_a_judge_that_cannot_be_used_is_one_line_at_the_price_of_a_call(bench, line):
    with JudgeServer(lambda r: error(r, 401, "a wrong key")) as server:
        status, said = bench("--oracle", line, "--judge-model", "m", "--base-url", server.openai, "--concurrency", 8)
        # A vote's second critique is on its way when the first is rejected, or is not sent any more
        assert 1 <= len(server.requests) <= (2 if "x" in line else 1)
    assert status == 2
    assert "rejects its first question" in said
    assert "a wrong key" in said
