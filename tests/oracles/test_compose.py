"""Oracles out of oracles, in one line."""

import asyncio

import pytest
from _judge_server import answer, error, verdict

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Usage, Verdict
from cal_grpo.oracles.several.compose import compose, is_composite

CLEAR = Query("What is 2+3*4?", "3*4=12\n2+12=14\n#### 14", "3*4=12\n2+12=15\n#### 15")


class Named:
    metered = True

    def __init__(self, name, varied):
        self.name, self.varied = name, varied

    async def locate(self, query):
        confidence = 0.5 if self.name == "half" else None
        return Verdict(Tag.FOUND, self.name, "3*4=12", confidence=confidence, usage=Usage(1))


@pytest.fixture
def built():
    return []


@pytest.fixture
def critique(built):
    def of(spec):
        def build(name, varied):
            built.append((name, varied))
            return Named(name, varied)

        return asyncio.run(compose(spec, build).locate(CLEAR))

    return of


@pytest.mark.parametrize(
    ("spec", "said", "calls", "made"),
    [
        ("a", "a", 1, [("a", False)]),
        ("half@0.5 > b", "half", 1, [("half", False), ("b", False)]),
        ("half@0.6>b", "b", 2, [("half", False), ("b", False)]),
        ("half@0.6 > half@0.55 > 2 x b", "b", 4, [("half", False), ("half", False), ("b", True)]),
        ("3 x a", "a", 3, [("a", True)]),
        ("union(a, b)", "a", 2, [("a", False), ("b", False)]),
        ("majority(a,a,b)", "a", 3, [("a", True), ("b", False)]),
        ("a:gpt-5-mini > 2 x b:org/model:7b", "a:gpt-5-mini", 1, [("a:gpt-5-mini", False), ("b:org/model:7b", True)]),
    ],
)
def test_a_line_says_who_is_asked_in_which_order(critique, built, spec, said, calls, made):
    assert is_composite(spec) == (spec != "a")
    found = critique(spec)
    assert (found.critique, found.usage.calls, built) == (said, calls, made)


def test_a_threshold_alone_turns_the_unsure_into_abstentions(critique):
    assert critique("half@0.4").tag is Tag.FOUND
    assert critique("half@0.6").tag is Tag.ABSTAINED


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("a@much > b", "'much' is no confidence"),
        ("a > ", "cannot be read"),
        ("> a", "cannot be read"),
        ("union(a, b", "cannot be read"),
        ("union()", "cannot be read"),
        ("union(a,)", "cannot be read"),
        ("a, b", "cannot be read"),
        ("0 x a", "0 critiques; expected 1 to 15"),
        ("99 x a", "99 critiques; expected 1 to 15"),
        ("a@2 > b", "confidence 2.0; expected 0 to 1"),
        ("most(a, b)", "cannot be read"),
        ("a@nan", "confidence nan; expected 0 to 1"),
    ],
)
def test_a_line_that_cannot_be_read_is_one_line(critique, spec, complaint):
    with pytest.raises(UsageError, match=complaint) as error:
        critique(spec)
    assert "\n" not in str(error.value)


def test_unknown_names_are_told_as_everywhere():
    with pytest.raises(UsageError, match=r"oracle is 'refrence'; expected one of .*did you mean 'reference'"):
        CALOracle("refrence@0.5 > arithmetic")


def test_free_oracles_ask_a_server_only_where_they_are_unsure(connect, server, protocol):
    server.script = lambda r: answer(r, verdict("4 and 5 are 9"))
    oracle = connect(f"reference@0.9 > {protocol}", model="m")
    unclear = Query("What?", "It is 7.", "It is 9, because 4 and 5 are 9.\nSo 9.")
    assert [v.tag for v in oracle.locate([CLEAR, unclear])] == [Tag.FOUND, Tag.FOUND]
    assert len(server.requests) == oracle.spent.calls == 1
    assert oracle.shares["answered"] == {"1 reference": 1, f"2 {protocol}": 1, "none": 0}
    assert oracle.shares["saved"] == {f"2 {protocol}": 1}


def test_critiques_of_one_judge_vary_and_each_stage_has_its_own_model(connect, server, protocol):
    server.script = lambda r: answer(r, verdict("2+12=15" if "small" not in f"{r.path} {r.body}" else ""))
    oracle = connect(f"{protocol}:small > 3 x {protocol}:large")
    found = oracle.locate([CLEAR])[0]
    assert (found.segment, found.confidence, oracle.spent.calls) == ("2+12=15", 1.0, 4)
    asked = [f"{r.path} {r.body.get('model')}" for r in server.requests]
    assert sum("small" in a for a in asked) == 1
    assert sum("large" in a for a in asked) == 3
    bodies = [r.body.get("generationConfig", r.body) for r in server.requests]
    assert [body["temperature"] for body in bodies] == [0.0, 0.7, 0.7, 0.7]


def test_critiques_are_cached_one_by_one_whatever_line_they_were_bought_for(connect, server, tmp_path):
    server.script = lambda r: answer(r, verdict("2+12=15"))
    for spec, calls in (("3 x openai", 3), ("3 x openai", 3), ("2 x openai", 3), ("arithmetic@0.99 > openai", 4)):
        oracle = connect(spec, base_url=server.openai, cache=tmp_path / "cache.db")
        assert oracle.locate([CLEAR])[0].tag is Tag.FOUND
        oracle.close()
        assert len(server.requests) == calls


def test_a_judge_that_is_down_leaves_a_failure_not_a_blame(connect, server, protocol):
    server.script = lambda r: error(r, 403)
    assert connect(f"3 x {protocol}").locate([CLEAR])[0].tag is Tag.REJECTED
    assert connect(f"union(reference, {protocol})").locate([CLEAR])[0].segment == "2+12=15"
