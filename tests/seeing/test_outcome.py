"""Did it work, what should not be overlooked, and which runs are about the same thing?"""

import json
import re

import pytest

from cal_grpo.intervals import paired_difference, share
from cal_grpo.seeing.comparable import incomparable
from cal_grpo.seeing.outcome import outcome, warnings_of
from cal_grpo.seeing.report_answer import settings_of
from cal_grpo.seeing.run import Run, open_runs


def rows(*updates):
    return "".join(json.dumps({"step": step} | update) + "\n" for step, update in enumerate(updates, 1))


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ((0,) * 20, (1,) * 15 + (0,) * 5, "better"),
        ((1,) * 15 + (0,) * 5, (0,) * 20, "worse"),
        ((1, 1, 0, 0), (1, 1, 1, 0), "no difference can be told"),
        ((), (1, 0), "not measured"),
        ((1, 0), (), "not measured after training"),
        ((), (), "not measured"),
    ],
)
def test_a_run_worked_where_its_interval_says_so(make_run, before, after, word):
    found = outcome(Run(make_run(held_out=(before, after))))
    assert found.word == word
    assert found.questions == (len(after) or len(before))
    assert found.before == (share(sum(before), len(before)) if before else None)


def test_the_gain_is_over_the_same_questions(make_run):
    found = outcome(Run(make_run(held_out=((1, 1, 0, 0), (1, 0, 1, 1)))))
    assert found.gain == paired_difference(1, 2, 1, 0)  # two gained, one lost


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"accuracy": 0.5, "cal/asked": 10, "cal/found": 9}, []),
        (
            {"accuracy": 0.5, "cal/asked": 10, "cal/found": 4},
            ["few spans: on 40% of the 20 judged answers; see Misses for why"],
        ),
        (
            {"accuracy": 0.5, "cal/asked": 10, "cal/found": 9, "cal/missed/timeout": 1, "cal/missed/abstained": 9},
            ["the judge failed on 10% of what it was asked (timeout 2)"],
        ),
        ({"accuracy": 0.5, "cal/cut_share": 0.2}, ["20% of the last answers were cut off; raise rollout.max_new_tokens"]),
        ({"accuracy": 0.0}, ["every answer in training was wrong: a group without a difference teaches little"]),
        ({"accuracy": 1.0}, ["every answer in training was right: a group without a difference teaches little"]),
    ],
)
def test_what_should_not_be_overlooked_is_told(make_run, update, expected):
    assert warnings_of(Run(make_run(files={"metrics.jsonl": rows(update, update)}))) == expected


def test_a_run_that_did_not_end_says_so_first(make_run):
    assert warnings_of(Run(make_run(files={"summary.json": None})))[0] == "unfinished after 2 updates"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"learning_rate": 1e-5, "credit": "grpo", "seed": 4}, ""),
        ({"model_id": "org/name"}, "another model (org/name, not embedded)"),
        ({"engine": "trl"}, "another engine (trl, not tunix)"),
        ({"task": "gsm_symbolic"}, "other data (task gsm_symbolic, not ledger)"),
        ({"ledger": {"steps": 3}}, "other data (ledger {'steps': 3}, not {'steps': 8})"),
        ({"chat": {"answer_format": "End with x."}}, "other prompts or lengths (chat {'"),
        ({"rollout": {"max_new_tokens": 9}}, "other prompts or lengths (rollout.max_new_tokens 9, not None)"),
        ({"files": {"data.sha256": "b\n"}}, "other data (the config is the same, the questions' digest is not)"),
        ({"files": {"data.sha256": "b\n"}, "seed": 4}, ""),  # another seed draws other questions
        ({"held_out": ((1, 0), (1, 1))}, "other held-out questions (2 of 4 in common)"),
        ({"files": {"config.yaml": None, "eval.jsonl": None}}, ""),
    ],
)
def test_runs_about_other_things_are_told(make_run, changes, reason):
    first = make_run("first", files={"data.sha256": "a\n"})
    notes = incomparable(open_runs([first, make_run("other", **changes)]))
    assert [note[: len(f"other: not comparable with first: {reason}")] for note in notes] == (
        [f"other: not comparable with first: {reason}"] if reason else []
    )


def test_settings_are_the_judge_s_only_where_it_was_asked(make_run):
    free = settings_of(Run(make_run("free")))
    assert (free["judge"], free["credit"], free["seed"]) == ("reference", "prefix", "0")
    assert "judge's style" not in free
    assert "judge's model" not in free
    paid = settings_of(Run(make_run("paid", cal_provider="openai", cal_model="m")))
    assert (paid["judge's model"], paid["judge's style"]) == ("m", "direct")
    assert "judge" not in settings_of(Run(make_run("plain", use_cal=False)))
    summary = json.dumps({"stopped": None, "device": "NVIDIA H100 80GB HBM3"})
    assert settings_of(Run(make_run("gpu", files={"summary.json": summary})))["device"] == "NVIDIA H100 80GB HBM3"


def test_the_first_screen_answers_whether_it_worked(cal_grpo, make_run, tmp_path):
    held_out = ((0,) * 20, (1,) * 15 + (0,) * 5)
    cal, grpo = make_run("cal", held_out=held_out), make_run("grpo", use_cal=False, model_id="o<b>", held_out=held_out)
    assert cal_grpo("report", cal)[0] == 0
    page = (tmp_path / "here" / "report.html").read_text()
    text = re.sub(r"<[^>]*>", "", page[page.index("<body>") : page.index('id="curves"')])
    assert "better held-out accuracy 0.0 → 75.0 % +75.0 [" in text
    assert "points, 95 % interval over 20 questions" in text
    for expected in ("model embedded", "judge reference", "credit prefix", "learning rate 0.0002", "updates 30"):
        assert expected in text
    assert page.index('id="answer"') < page.index('id="curves"') < page.index('id="runs"') < page.index('id="rollouts"')
    assert cal_grpo("report", cal, grpo, "--output", "both.html")[0] == 0
    page = (tmp_path / "here" / "both.html").read_text()
    text = re.sub(r"<[^>]*>", "", page[page.index("<body>") : page.index('id="curves"')])
    assert "! grpo: not comparable with cal: another model (o&lt;b&gt;, not embedded)" in text
    assert "o<b>" not in page.partition('id="data"')[0]
    assert text.count("credit prefix") == text.count("credit tunix-grpo") == 1
    status, out, _ = cal_grpo("compare", cal, grpo)
    assert status == 0
    assert "! grpo: not comparable with cal: another model (o<b>, not embedded)" in out


def test_a_free_oracle_has_no_rows_of_zeros(cal_grpo, make_run, tmp_path):
    oracle = {"calls": 0, "retried": 0, "tokens": 0, "usd": 0.0}
    free = make_run("free", files={"summary.json": json.dumps({"stopped": None, "oracle": oracle})})
    gone = (
        "answered without a call",
        "oracle's calls",
        "of these, tried again",
        "oracle's tokens",
        "oracle's price",
        "latency, p50",
    )
    assert cal_grpo("report", free)[0] == 0
    page = (tmp_path / "here" / "report.html").read_text()
    assert [name for name in gone if f">{name}" in page.replace("&#x27;", "'")] == []
    assert ">wrong answers judged<" in page
    assert cal_grpo("report", free, make_run("paid"), "--output", "both.html")[0] == 0
    page = (tmp_path / "here" / "both.html").read_text().replace("&#x27;", "'")
    assert ">oracle's calls<" in page
