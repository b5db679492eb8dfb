"""A judge that is wrong as often as one likes."""

import asyncio

import pytest

from cal_grpo.oracles import Query, ReferenceOracle, Tag, Verdict
from study.misjudge import Misjudging

RESPONSE = "10+5=15\n15+4=20\n20-3=17\n#### 17"
REFERENCE = "10+5=15\n15+4=19\n19-3=16\n#### 16"


def verdicts(rate, count=400, oracle=None):
    judge = Misjudging(oracle or ReferenceOracle(), rate, seed=0)
    return [asyncio.run(judge.locate(Query(f"question {i}", REFERENCE, RESPONSE))) for i in range(count)]


def test_so_many_verdicts_are_another_step_of_the_response():
    segments = [v.segment for v in verdicts(0.3)]
    moved = [s for s in segments if s != "15+4=20"]
    assert len(moved) / 400 == pytest.approx(0.3, abs=0.08)
    assert set(moved) == {"10+5=15", "20-3=17", "#### 17"}
    assert segments == [v.segment for v in verdicts(0.3)]


def test_the_hint_moves_with_the_step():
    assert {(v.segment, v.hint) for v in verdicts(1.0)} == {
        ("10+5=15", ""), ("20-3=17", "10+5=15\n15+4=20\n"), ("#### 17", "10+5=15\n15+4=20\n20-3=17\n"),
    }  # fmt: skip


def test_what_is_no_verdict_stays(monkeypatch):
    class Abstains:
        name = "abstains"

        async def locate(self, query):
            return Verdict(Tag.ABSTAINED)

    assert {v.tag for v in verdicts(1.0, 5, Abstains())} == {Tag.ABSTAINED}
