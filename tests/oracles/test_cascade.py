"""Oracles from cheap to dear."""

import asyncio

import pytest
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner, TokenSpan
from cal_grpo.credit import Weights, formula
from cal_grpo.errors import UsageError
from cal_grpo.oracles import ArithmeticOracle, CALOracle, Query, ReferenceOracle, Tag, Usage, Verdict, blamed
from cal_grpo.oracles.several.cascade import Cascade
from cal_grpo.oracles.several.vote import Vote
from cal_grpo.pipeline import CreditPipeline
from cal_grpo.policies import EMBEDDED

TOKENIZER = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))

QUERY = Query("q", "r", "1+1=3\nso 3")
SURE = Verdict(Tag.FOUND, "cheap", "1+1=3", confidence=0.8)
UNSURE = Verdict(Tag.FOUND, "cheap", "1+1=3", confidence=0.3)
DEAR = Verdict(Tag.FOUND, "dear", "so 3", usage=Usage(1, 900, 60, 0.01, 2.0))
DOWN = Verdict(Tag.UNAVAILABLE, usage=Usage(1), detail="down")


class Says:
    """Answers in turn; the last answer stays."""

    metered = True

    def __init__(self, *verdicts, name="says", **attributes):
        self.verdicts, self.name, self.asked = list(verdicts), name, 0
        self.__dict__.update(attributes)

    async def locate(self, query):
        self.asked += 1
        return self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]


def ask(oracle, query=QUERY):
    return asyncio.run(oracle.locate(query))


def test_the_first_that_is_sure_answers_and_the_dear_one_is_not_asked():
    cheap, dear = Says(SURE), Says(DEAR)
    assert ask(Cascade([(cheap, 0.8), (dear, 0.0)])) == SURE
    assert dear.asked == 0


@pytest.mark.parametrize(
    "first", [UNSURE, Verdict(Tag.ABSTAINED), Verdict(Tag.NO_ERROR), Verdict(Tag.REFUSED), Verdict(Tag.UNAVAILABLE)]
)
def test_whoever_is_not_sure_hands_on(first):
    found = ask(Cascade([(Says(first), 0.8), (Says(DEAR), 0.0)]))
    assert (found.tag, found.segment, found.usage) == (Tag.FOUND, "so 3", DEAR.usage)


TWICE = Query("q", "r", "1+1=3\nso 3\n1+1=3\n3+1=4")
SECOND = Verdict(Tag.FOUND, "first", "1+1=3")
FITS_ONCE = Verdict(Tag.FOUND, "dear", "3+1=4")


@pytest.mark.parametrize(
    ("on_ambiguous", "hint", "segment"),
    [("first", None, "1+1=3"), ("miss", None, "3+1=4"), ("miss", "so 3\n", "1+1=3")],  # a hint that decides
)
@pytest.mark.parametrize("nested", [False, True])
def test_members_decide_with_the_pipelines_own_aligner(on_ambiguous, hint, segment, nested):
    first = Verdict(Tag.FOUND, "cheap", "1+1=3", hint)
    cascade = Cascade([(Says(first), 0.0), (Says(FITS_ONCE), 0.0)])
    aligner = Aligner(TOKENIZER, on_ambiguous=on_ambiguous)
    with CALOracle(Cascade([(cascade, 0.0)]) if nested else cascade) as oracle:
        CreditPipeline(oracle, aligner, formula("prefix"), Weights(), 2)
        (found,) = oracle.locate([TWICE])
    assert found.segment == segment
    assert isinstance(aligner.map(TOKENIZER.encode(TWICE.response).ids, found.segment, found.hint), TokenSpan)


def test_a_vote_does_not_count_a_quote_that_fits_in_several_places_where_that_is_a_miss():
    vote = Vote([Says(SECOND, name="a"), Says(SECOND, name="b"), Says(FITS_ONCE, name="c"), Says(FITS_ONCE, name="d")])
    assert ask(vote, TWICE).tag is Tag.ABSTAINED  # two of four is no majority; and it is one of two
    vote.maps_with(Aligner(TOKENIZER, on_ambiguous="miss").find)
    assert ask(vote, TWICE).segment == "3+1=4"


def test_where_no_stage_has_a_place_the_last_quote_stays_what_it_is():
    cascade = Cascade([(Says(Verdict(Tag.ABSTAINED)), 0.0), (Says(SECOND), 0.0)])
    cascade.maps_with(Aligner(TOKENIZER, on_ambiguous="miss").find)
    assert ask(cascade, TWICE).segment == "1+1=3"


LONG = Query("q", "r", "First 1+1=3, " * 30 + "so 3.\nThen 3+1=4.")
AWAY = Verdict(Tag.FOUND, "away", "7*8=54", usage=Usage(1, 10, 1, 0.001, 0.1))


def test_a_quote_that_cannot_be_mapped_is_no_answer_and_the_next_oracles_stands():
    found = ask(Cascade([(Says(AWAY), 0.0), (Says(DEAR), 0.0)]))
    assert (found.segment, found.usage.calls) == ("so 3", 2)
    assert ask(Cascade([(Says(AWAY), 0.0), (Says(Verdict(Tag.NO_ERROR)), 0.0)])).tag is Tag.NO_ERROR
    assert ask(Cascade([(Says(AWAY), 0.0), (Says(DOWN), 0.0)])).tag is Tag.UNAVAILABLE
    assert ask(Cascade([(Says(AWAY), 0.0)])).segment == "7*8=54"  # and is counted as a quote that is not there


@pytest.mark.parametrize("make", [lambda one: Cascade([(one, 0.0), (Says(DEAR), 0.0)]), lambda one: Vote([one] * 3)])
def test_a_quote_that_is_too_long_is_an_answer_and_is_cut_to_its_step(make):
    found = ask(make(Says(Verdict(Tag.FOUND, "long", LONG.response))), LONG)
    aligner = Aligner(TOKENIZER, 64)
    span = blamed(aligner, aligner.decode(TOKENIZER.encode(LONG.response).ids), found)
    assert isinstance(span, TokenSpan)
    assert LONG.response[span.char_start : span.char_end].endswith("so 3.")
    assert len(span) <= 64


def test_a_verdict_without_a_confidence_is_sure():
    assert ask(Cascade([(Says(DEAR), 1.0), (Says(SURE), 0.0)])).critique == "dear"


def test_when_none_is_sure_it_abstains_and_says_what_it_thought():
    found = ask(Cascade([(Says(Verdict(Tag.NO_ERROR)), 0.5), (Says(UNSURE), 0.5)]))
    assert (found.tag, found.segment, found.critique, found.confidence) == (Tag.ABSTAINED, "", "cheap", 0.3)
    assert ask(Cascade([(Says(UNSURE), 0.5), (Says(Verdict(Tag.NO_ERROR)), 0.5)])).tag is Tag.NO_ERROR
    assert ask(Cascade([(Says(UNSURE), 0.5), (Says(DOWN), 0.5)])).detail == "down"


def test_usage_is_that_of_all_who_were_asked():
    cheap = Says(Verdict(Tag.NO_ERROR, usage=Usage(1, 100, 10, 0.001, 0.5)))
    assert ask(Cascade([(cheap, 0.0), (Says(DEAR), 0.0)])).usage == Usage(2, 1000, 70, 0.011, 2.5)


def test_shares_count_who_answered_and_the_calls_saved():
    first, second = Says(SURE, UNSURE, UNSURE, SURE, UNSURE), Says(DEAR, Verdict(Tag.ABSTAINED), DEAR)
    cascade = Cascade([(first, 0.5), (second, 0.0)])
    for i in range(5):
        ask(cascade, Query(str(i), "r", "1+1=3\nso 3"))
    assert cascade.shares() == {
        "queries": 5,
        "answered": {"1 says": 2, "2 says": 2, "none": 1},
        "saved": {"2 says": 2},
    }


def test_a_failed_stage_is_tried_again_without_paying_the_others_again():
    cheap = Says(Verdict(Tag.ABSTAINED, usage=Usage(1, 100, 10, 0.001, 0.5)))
    cascade = Cascade([(cheap, 0.0), (Says(DOWN, DOWN, DEAR), 0.0)])
    with CALOracle(cascade) as oracle:
        found = oracle.locate([QUERY])[0]
        assert (found.segment, found.usage.calls, oracle.spent.calls, oracle.retried) == ("so 3", 4, 4, 2)
        assert cheap.asked == 1
        assert oracle.shares["answered"] == {"1 says": 0, "2 says": 1, "none": 0}  # one query, however often it was tried
        oracle.locate([Query("another", "r", "1+1=3\nso 3")])
        assert cheap.asked == 2


def test_calls_are_counted_in_the_budget_whoever_made_them():
    free = Cascade([(ReferenceOracle(), 0.0), (ArithmeticOracle(), 0.0)])
    with CALOracle(free, max_calls=1) as oracle:
        oracle.locate([Query(str(i), "1+1=2", "1+1=3") for i in range(3)])
        assert (oracle.spent.calls, oracle.outcomes) == (0, {"found": 3})
    unmetered = Says(SURE)
    unmetered.metered = False
    with CALOracle(Cascade([(unmetered, 0.5)]), max_calls=2, concurrency=1) as oracle:
        oracle.locate([Query(str(i), "r", "1+1=3") for i in range(3)])
        assert (oracle.spent.calls, oracle.outcomes) == (2, {"found": 2, "over_budget": 1})


def test_what_decides_the_answers_is_all_of_its_stages():
    def identity(first, needed=0.5):
        return Cascade([(Says(SURE, identity=first), needed), (ReferenceOracle(), 0.0)]).identity

    assert identity({"oracle": "a"}) == identity({"oracle": "a"})
    assert identity({"oracle": "a"}) != identity({"oracle": "b"})
    assert identity({"oracle": "a"}) != identity({"oracle": "a"}, needed=0.6)
    assert Cascade([(Says(SURE), 0.5), (ReferenceOracle(), 0.0)]).identity is None


def test_verdicts_are_kept_on_disk_unless_all_stages_are_free(tmp_path):
    file = tmp_path / "cache.db"
    for _ in range(2):
        dear = Says(DEAR, identity={"oracle": "dear"})
        with CALOracle(Cascade([(ReferenceOracle(0.99), 0.0), (dear, 0.0)]), cache=file) as oracle:
            assert oracle.locate([Query("q", "r", "two\nso 3")])[0].segment == "so 3"  # the free one abstains
    assert dear.asked == 0
    with CALOracle(Cascade([(ReferenceOracle(), 0.0)]), cache=tmp_path / "free.db") as oracle:
        oracle.locate([QUERY])
    assert not (tmp_path / "free.db").exists()


def test_a_limit_in_dollars_needs_every_stages_price():
    with pytest.raises(UsageError, match="price"):
        CALOracle(Cascade([(Says(DEAR, price=None), 0.0), (Says(DEAR, price=1), 0.0)]), max_usd=1.0)
    with CALOracle(Cascade([(ReferenceOracle(), 0.99), (Says(DEAR, price=1), 0.0)]), max_usd=1.0) as oracle:
        assert oracle.locate([QUERY])[0].segment == "so 3"


@pytest.mark.parametrize("stages", [[], [(Says(SURE), 1.5)], [(Says(SURE), -0.1)]])
def test_a_cascade_that_cannot_be(stages):
    with pytest.raises(UsageError, match="expected"):
        Cascade(stages)


def test_every_stage_is_closed_once():
    closed = []

    class Closing(Says):
        async def aclose(self):
            closed.append(self.name)

    both = Closing(SURE, name="a")
    asyncio.run(Cascade([(both, 0.1), (Closing(SURE, name="b"), 0.2), (both, 0.3), (Says(SURE), 0)]).aclose())
    assert closed == ["a", "b"]
