"""Several critiques, one verdict."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.alignment import Miss, find_quote
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Usage, Verdict
from cal_grpo.oracles.several.vote import Vote

RESPONSE = "2+2=4\nthen 4*3=13\nso 13-1=12\nthen 4*3=13"
QUERY = Query("q", "r", RESPONSE)


class Says:
    metered = True
    name = "says"

    def __init__(self, *verdicts):
        self.verdicts, self.asked = list(verdicts), 0

    async def locate(self, query):
        self.asked += 1
        return self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]


def quotes(segment, hint=None):
    return Verdict(Tag.FOUND, f"about {segment}", segment, hint, usage=Usage(1, 10, 1, 0.001, 1.0))


NOTHING = Verdict(Tag.NO_ERROR, usage=Usage(1, 10, 1, 0.001, 1.0))
DOWN = Verdict(Tag.RATE_LIMITED, usage=Usage(1, latency_s=0.1), detail="slow down")


def vote(*verdicts, rule="majority", query=QUERY):
    return asyncio.run(Vote([Says(verdict) for verdict in verdicts], rule).locate(query))


@pytest.mark.parametrize(
    ("rule", "segment", "confidence"),
    [("majority", "then 4*3=13", 1.0), ("intersection", "4*3=13", 1.0), ("union", "2+2=4\nthen 4*3=13", 1.0)],
)
def test_rules_count_characters(rule, segment, confidence):
    # characters 0-17, 6-17 and 11-17: two of three have "then 4*3=13", all have "4*3=13"
    found = vote(quotes("2+2=4\nthen 4*3=13"), quotes("then 4*3=13", "4\n"), quotes("4*3=13", "then "), rule=rule)
    assert (found.tag, found.segment, found.confidence) == (Tag.FOUND, segment, confidence)
    assert RESPONSE.startswith(found.hint)


def test_the_place_with_most_votes_wins_and_ties_go_to_the_first():
    assert vote(quotes("2+2=4"), quotes("13-1=12"), quotes("13-1=12"), rule="union").segment == "13-1=12"
    assert vote(quotes("13-1=12"), quotes("2+2=4"), rule="union").segment == "2+2=4"


def test_the_confidence_is_the_share_behind_the_place():
    assert vote(quotes("2+2=4"), quotes("13-1=12"), quotes("13-1=12")).confidence == pytest.approx(2 / 3, abs=1e-3)


def test_whoever_sees_nothing_counts_against():
    assert vote(quotes("2+2=4"), NOTHING).tag is Tag.ABSTAINED
    assert vote(quotes("2+2=4"), NOTHING, rule="union").segment == "2+2=4"
    apart = vote(quotes("2+2=4"), quotes("13-1=12"), rule="intersection")
    assert (apart.tag, apart.confidence) == (Tag.ABSTAINED, 0.5)


def test_a_quote_that_is_not_there_is_no_answer():
    elsewhere = quotes("of another response 9")
    found = vote(quotes("2+2=4"), elsewhere)
    assert (found.segment, found.confidence) == ("2+2=4", 0.5)  # the share of all critiques
    assert vote(quotes("2+2=4"), quotes("13-1=12"), elsewhere).tag is Tag.ABSTAINED
    lost = vote(quotes("2+2=4"), elsewhere, elsewhere)
    assert lost.segment == "of another response 9"  # fewer than half answered: the first that was lost stands
    assert vote(quotes("2+2=4"), elsewhere, DOWN).tag is Tag.RATE_LIMITED


def test_repeated_lines_are_told_apart_by_their_hints():
    assert vote(quotes("4*3=13", "4\nthen "), quotes("4*3=13", "12\nthen ")).tag is Tag.ABSTAINED
    both = vote(quotes("4*3=13", "12\nthen "), quotes("4*3=13", "12\nthen "))
    assert RESPONSE.index(both.hint) + len(both.hint) == RESPONSE.rindex("4*3=13")


def test_quotes_are_found_as_training_finds_them():
    assert vote(quotes("then 4 × 3 = 13", "2+2=4"), quotes("4*3=13", "2+2=4 then ")).segment == "4*3=13"


def test_usage_adds_up_but_for_the_time_that_passed_at_once():
    assert vote(quotes("2+2=4"), quotes("2+2=4"), NOTHING).usage == Usage(3, 30, 3, 0.003, 1.0)


def test_a_failed_call_does_not_count_but_most_must_answer():
    assert vote(quotes("2+2=4"), quotes("2+2=4"), DOWN).segment == "2+2=4"
    failed = vote(quotes("2+2=4"), DOWN, DOWN)
    assert (failed.tag, failed.detail, failed.usage.calls) == (Tag.RATE_LIMITED, "slow down", 3)


def test_what_failed_is_asked_again_without_paying_the_others_again():
    good, bad = Says(quotes("2+2=4")), Says(DOWN, DOWN, quotes("2+2=4"))
    with CALOracle(Vote([good, bad, Says(DOWN)])) as oracle:
        found = oracle.locate([QUERY])[0]
    assert (found.segment, found.confidence, good.asked, bad.asked) == ("2+2=4", 0.667, 1, 3)
    assert oracle.spent.calls == 1 + 3 + 4  # each is tried again for itself


def test_what_decides_the_answers_is_all_of_its_members():
    def member(identity):
        oracle = Says(NOTHING)
        oracle.identity = identity
        return oracle

    a, b = member({"oracle": "a"}), member({"oracle": "b"})
    assert Vote([a, b]).identity != Vote([a, a]).identity
    assert Vote([a, b]).identity != Vote([a, b], "union").identity
    assert Vote([a, Says(NOTHING)]).identity is None


def test_a_vote_that_cannot_be():
    with pytest.raises(UsageError, match="got no oracles"):
        Vote([])
    with pytest.raises(UsageError, match="expected one of majority, intersection, union"):
        Vote([Says(NOTHING)], "most")


spans = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), min_size=1, max_size=5)


@given(spans, st.sampled_from(["majority", "intersection", "union"]))
def test_whatever_they_quote_the_rules_hold(drawn, rule):
    verdicts = [quotes(text) if (text := RESPONSE[a : a + n]).strip() else NOTHING for a, n in drawn]
    lost = [bool(v.segment) and isinstance(find_quote(RESPONSE, v.segment, v.hint), Miss) for v in verdicts]
    found = vote(*verdicts, rule=rule)
    assert found.segment in RESPONSE
    if 2 * sum(lost) > len(lost):
        assert found.segment == verdicts[lost.index(True)].segment
        return
    assert 0 <= found.confidence <= 1
    voters = len(lost) - sum(lost)
    if found.tag is Tag.FOUND:
        assert RESPONSE[: RESPONSE.index(found.hint) + len(found.hint)].endswith(found.hint)
        least = {"majority": voters // 2 + 1, "intersection": voters, "union": 1}[rule]
        assert found.confidence >= round(least / len(drawn), 3)
