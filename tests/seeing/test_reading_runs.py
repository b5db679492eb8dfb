"""Run folders that are whole, half-written or hostile."""

import json
import math

import pytest
from _judge_server import JudgeServer, answer, error, verdict
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Usage, Verdict
from cal_grpo.seeing.oracle_use import oracle_use
from cal_grpo.seeing.rollout import Rollout
from cal_grpo.seeing.run import Run, open_runs


def test_a_finished_run_reads_back_whole(make_run):
    run = Run(make_run(seed=3))
    assert (run.name, run.state, run.credit, run.seed, run.steps) == ("run", "finished", "prefix", 3, 2)
    assert [(r.step, r.row, r.outcome) for r in run.rollouts] == [
        (1, 1, "blamed"), (1, 2, "right"), (2, 1, "blamed"), (2, 2, "quote_not_found"),
    ]  # fmt: skip
    assert [a.correct for a in run.answers["after"]] == [True, True, True, False]
    assert run.missed == {"quote_not_found": 2}
    assert run.total("cal/asked") == 8
    assert run.notes == []


def test_plain_grpo_is_known_as_such_whatever_the_credit_key_says(make_run):
    assert Run(make_run(use_cal=False, credit="prefix")).credit == "tunix-grpo"


@pytest.mark.parametrize(
    ("summary", "state"),
    [
        (None, "unfinished"), ("{", "unfinished"), ("[]", "unfinished"), ('{"stopped": "budget"}', "stopped (budget)"),
        ('{"interrupted": true}', "stopped (interrupt)"), ("{}", "finished"),
    ],
)  # fmt: skip
def test_the_state_says_how_a_run_ended(make_run, summary, state):
    assert Run(make_run(files={"summary.json": summary})).state == state


def test_a_cut_off_line_and_lines_that_are_no_rollouts_are_told_and_the_rest_is_kept(make_run, records):
    whole = json.dumps(records.rollout())
    outside = json.dumps(records.rollout(span={"tokens": [0, 1], "characters": [5, 900]}))
    text = f'{whole}\nnot json\n[1]\n{outside}\n{{"step": 1}}\n\n{whole}\n{whole[:40]}'
    run = Run(make_run(files={"samples.jsonl": text, "metrics.jsonl": '{"step": 1, "accuracy": 0.5}\n{"step": 2, "acc'}))
    assert [r.row for r in run.rollouts] == [1, 4]  # lines that could not be read keep their numbers
    assert [row["step"] for row in run.metrics] == [1]
    assert run.notes == [
        "samples.jsonl: the last line is cut off and was left out; the run was stopped while it wrote",
        "samples.jsonl: 2 lines left out, first line 2: not a JSON object",
        "samples.jsonl: 2 lines left out, first line 4: span [5, 900) does not lie in a response of 12 characters",
        "metrics.jsonl: the last line is cut off and was left out; the run was stopped while it wrote",
    ]


def test_numbers_that_are_none_are_left_out_of_the_metrics(make_run):
    lines = (
        '{"step": 2, "kl": NaN, "loss": 1e999, "accuracy": true, "x": "1", "ok": 0.5}',
        '{"loss": 1}', '{"step": 1}', '{"step": 1, "a": 2}',
    )  # fmt: skip
    assert Run(make_run(files={"metrics.jsonl": "\n".join([*lines, ""])})).metrics == [
        {"step": 1, "a": 2},
        {"step": 2, "ok": 0.5},
    ]


def test_half_a_surrogate_pair_becomes_a_replacement_character(make_run, records):
    text = json.dumps(records.rollout(question="a \ud800 b", response="1+1=3\n#### 3"))
    (only,) = Run(make_run(files={"samples.jsonl": text + "\n"})).rollouts
    assert only.question.encode()  # it can be written
    assert "�" in only.question


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail(tmp_path_factory, noise):
    folder = tmp_path_factory.mktemp("noise")
    for name in ("metrics.jsonl", "samples.jsonl", "eval.jsonl", "judge.jsonl", "summary.json", "config.yaml"):
        (folder / name).write_bytes(noise)
    run = Run(folder)
    assert (run.metrics, run.rollouts, run.answers) == ([], [], {})
    assert isinstance(run.state, str)
    assert oracle_use(run).asked == 0


def test_what_is_no_run_is_one_line_that_says_what_to_do(make_run, tmp_path):
    folder = make_run("first")
    for path, message in (
        (tmp_path / "frist", f"no such folder; .*did you mean {folder}"),
        (folder / "metrics.jsonl", "is a file; expected the run folder that holds it"),
        (tmp_path, f"holds no run .*name one: {folder}"),
    ):
        with pytest.raises(UsageError, match=message):
            Run(path)
    with pytest.raises(UsageError, match="named 2 times"):
        open_runs([folder, folder / ".." / "first"])


def test_names_tell_runs_apart(make_run, tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        make_run(f"{parent}/run")
    assert [run.name for run in open_runs([tmp_path / "a" / "run", tmp_path / "b" / "run"])] == ["a/run", "b/run"]


def test_the_oracle_s_use_comes_from_the_judge_log_and_counts_every_call(make_run):
    call = {"calls": 1, "prompt_tokens": 90, "completion_tokens": 10, "usd": 0.5}
    calls = [
        call | {"attempt": 1, "final": False, "latency_s": 1.0, "tag": "timeout"},
        call | {"attempt": 2, "final": True, "latency_s": 3.0, "tag": "found"},
        {"attempt": 0, "final": True, "calls": 0, "usd": 0.0, "latency_s": 0.0, "prompt_tokens": 0, "completion_tokens": 0},
    ]
    use = oracle_use(Run(make_run(files={"judge.jsonl": "".join(json.dumps(c) + "\n" for c in calls)})))
    assert (use.calls, use.retried, use.tokens, use.usd, use.latency_p50_s) == (2, 1, 200, 1.0, 2.0)
    unknown = "".join(json.dumps(c | {"usd": None}) + "\n" for c in calls)
    assert oracle_use(Run(make_run("unknown", files={"judge.jsonl": unknown}))).usd is None
    use = oracle_use(Run(make_run("old")))  # without a log, the summary
    assert (use.calls, use.retried, use.tokens, use.usd, use.latency_p50_s) == (8, 1, 900, 0.01, None)


def test_calls_and_those_made_again_are_the_same_number_in_the_summary_the_log_and_after_a_resumption(make_run):
    steps = iter(range(100))

    def script(request):
        step = next(steps)
        if step == 0:
            return error(request, 400, "response_format is not supported")
        if step == 1:
            return error(request, 503)
        return answer(request, verdict("no such text" if step in (2, 4) else "2+3=5"))

    class Metered:
        name, metered = "metered", True

        async def locate(self, query):
            return Verdict(Tag.FOUND, segment="2+3=5", usage=Usage(3, 30, 3, 0.5, 1.0))

    folder = make_run(files={"judge.jsonl": None})
    queries = [Query(f"q{i}", "r", "2+3=5") for i in range(4)]
    with JudgeServer(script) as server:
        judges = [CALOracle("openai", model="m", base_url=server.openai, api_key="none", concurrency=1), CALOracle(Metered())]
        for oracle in judges:
            (folder / "judge.jsonl").unlink(missing_ok=True)
            with oracle:
                oracle.log_to(folder / "judge.jsonl")
                oracle.locate(queries)
                use = oracle_use(Run(folder))
                assert (use.calls, use.retried) == (oracle.spent.calls, oracle.retried)
                assert use.tokens == oracle.spent.tokens
            with CALOracle(Metered()) as resumed:
                resumed.resume(folder / "judge.jsonl", settled=4)
                assert (resumed.spent.calls, resumed.retried) == (oracle.spent.calls, oracle.retried)
        assert judges[0].retried >= 3
        assert judges[1].spent.calls == 12


def pieces(record):
    return [tuple(piece) for piece in Rollout.model_validate(record).pieces()]


def test_pieces_are_cut_where_the_advantage_changes_and_where_the_quote_does(records):
    assert pieces(records.rollout()) == [
        ("1+1", 0.3, (0, 3), False), ("=3", -1.0, (3, 5), True), ("\n#### 3", 0.0, (5, 12), False),
    ]  # fmt: skip
    # A token may hold more than what was quoted: here the token "=3" of the quote "3".
    span = {"tokens": [3, 4], "characters": [4, 5]}
    wider = records.rollout(span=span, tokens=11, advantages=[[0.3, 3], [-1.0, 1], [0.0, 7]])
    assert pieces(wider)[1:3] == [("=", -1.0, (3, 4), False), ("3", -1.0, (3, 4), True)]


def test_tokens_that_share_a_character_leave_no_piece_behind(records):
    # Four byte tokens of an emoji; the second half is blamed, but the character is the first half's.
    emoji = records.rollout(
        response="🦉!", tokens=5, advantages=[[0.3, 2], [-1.0, 2], [0.0, 1]], advantage_characters=[1, 0, 1],
        span={"tokens": [2, 4], "characters": [0, 1]},
    )  # fmt: skip
    assert pieces(emoji) == [("🦉", 0.3, (0, 2), True), ("!", 0.0, (4, 5), False)]


def test_a_run_of_an_older_version_is_coloured_where_its_quote_tells_how(records):
    assert pieces(records.rollout(advantage_characters=...)) == pieces(records.rollout())
    assert pieces(records.rollout(advantage_characters=..., advantages=[[0.5, 12]], span=...)) == [
        ("1+1=3\n#### 3", 0.5, (0, 12), False)
    ]
    unknown = pieces(records.rollout(advantage_characters=..., advantages=[[0.3, 2], [-1.0, 10]]))
    assert unknown == [("1+1", None, None, False), ("=3", None, None, True), ("\n#### 3", None, None, False)]


@given(st.data())
def test_pieces_join_to_the_response(data):
    response = data.draw(st.text(max_size=30))
    counts = data.draw(st.lists(st.integers(0, 4), max_size=6))
    ends = sorted(data.draw(st.lists(st.integers(0, len(response)), min_size=len(counts), max_size=len(counts))))
    characters = [b - a for a, b in zip([0, *ends], ends, strict=False)]
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(response)), st.integers(0, len(response)))))
    rollout = Rollout(
        step=1, question="q", response=response, tokens=sum(counts), correct=False, advantage_characters=characters,
        advantages=[(data.draw(st.sampled_from([0.0, -1.0, math.nan])), count) for count in counts],
        span={"tokens": (0, 0), "characters": (start, end)},
    )  # fmt: skip
    found = rollout.pieces()
    assert "".join(piece.text for piece in found) == response
    assert "".join(piece.text for piece in found if piece.blamed) == response[start:end]
