"""A checkpoint folder as the judge, without a server."""

import asyncio
import json
import threading
import time

import pytest

from cal_grpo.engines.tunix.local_judge import LocalJudge
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag
from cal_grpo.oracles.judges.repair import REPAIR

QUERIES = [Query("1+1?", "1+1=2", f"1+1={i}") for i in range(3, 6)]


@pytest.fixture(scope="module")
def judge():
    return LocalJudge("embedded", max_answer_tokens=8, max_prompt_tokens=16384)


def said(judge, monkeypatch, *texts):
    """The judge's model answers with these texts; what it was asked is returned."""
    asked = []

    def generate(prompts):
        asked.append(list(prompts))
        return [(texts[(sum(map(len, asked)) - len(prompts) + i) % len(texts)], 5) for i in range(len(prompts))]

    monkeypatch.setattr(judge, "_generate", generate)
    return asked


def test_a_model_that_cannot_judge_is_tagged_and_counted(judge):
    verdict = asyncio.run(judge.locate(QUERIES[0]))
    assert verdict.tag is Tag.MALFORMED
    assert verdict.usage.calls == 1
    assert 0 < verdict.usage.completion_tokens <= 8
    assert verdict.usage.usd == 0


def test_its_answer_is_begun_for_it_and_questions_that_wait_are_asked_together(judge, monkeypatch):
    asked = said(judge, monkeypatch, 'it adds", "segment": "1+1=3", "hint": ""} I hope this helps')

    async def all_of_them():
        return await asyncio.gather(*(judge.locate(query) for query in QUERIES))

    verdicts = asyncio.run(all_of_them())
    assert (verdicts[0].tag, verdicts[0].critique, verdicts[0].segment) == (Tag.FOUND, "it adds", "1+1=3")
    assert [len(batch) for batch in asked] == [3]
    assert all(prompt.endswith('{"critique": "') for prompt in asked[0])


def test_a_question_that_is_too_long_is_rejected_before_it_is_asked(judge, monkeypatch):
    asked = said(judge, monkeypatch, "")
    verdict = asyncio.run(judge.locate(Query("1+1?", "1+1=2", "1+1=3\n" * 5000)))
    assert verdict.tag is Tag.REJECTED
    assert not asked


def test_a_failing_model_fails_every_question_that_waits(judge, monkeypatch):
    def generate(prompts):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(judge, "_generate", generate)

    async def both():
        return await asyncio.gather(*(judge.locate(query) for query in QUERIES), return_exceptions=True)

    assert [str(e) for e in asyncio.run(both())] == ["out of memory"] * 3


def test_what_decides_its_answers_is_named(judge):
    assert judge.identity["oracle"] == "local"
    assert judge.identity["weights"]
    assert json.dumps(dict(judge.identity)) != json.dumps(dict(LocalJudge("embedded", style=REPAIR).identity))


def test_a_model_that_is_not_there_is_told():
    with pytest.raises(UsageError, match="got no model"):
        CALOracle("local")
    with pytest.raises(UsageError, match="nowhere"):
        CALOracle("local", model="./nowhere")


def test_the_time_limit_holds_and_closing_does_not_wait_for_the_model(judge, monkeypatch):
    freed = threading.Event()
    monkeypatch.setattr(judge, "_generate", lambda prompts: [("", 1)] * len(prompts) if freed.wait(60) else [])
    began = time.monotonic()
    with CALOracle(judge, timeout_s=0.3, attempts=1) as oracle:
        late = oracle.locate(QUERIES[:2])
    assert [v.tag for v in late] == [Tag.TIMEOUT] * 2
    assert late[0].usage.usd == 0
    assert time.monotonic() - began < 12
    freed.set()
