"""What passes for an oracle, and what is refused in a line."""

import functools

import pytest

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Oracle, Query, ReferenceOracle, Tag, Verdict, is_oracle
from cal_grpo.oracles.several import Cascade, Vote

QUERY = Query("q", "r", "1+1=3")
FOUND = Verdict(Tag.FOUND, segment="1+1=3")


class Good:
    name = "good"

    async def locate(self, query):
        return FOUND


class Sync:
    name = "sync"

    def locate(self, query):
        return FOUND


class Many:
    name = "many"

    async def locate(self, question, reference, response):
        return FOUND


class Streams:
    name = "streams"

    async def locate(self, query):
        yield FOUND


class Identity(Good):
    identity = "good, version 1"


class Nameless:
    async def locate(self, query):
        return FOUND


class Decorated(Good):
    @functools.wraps(Good.locate)
    def locate(self, query):
        return Good.locate(self, query)


class Called:
    name = "called"

    class _Locate:
        async def __call__(self, query):
            return FOUND

    locate = _Locate()


class Says(Good):
    def __init__(self, answer):
        self.answer = answer

    async def locate(self, query):
        return self.answer


@pytest.fixture
def front():
    with CALOracle("reference") as oracle:
        yield oracle


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (object, "is a object; expected a name or an object with async locate"),
        (Sync, "is a Sync whose locate is not async def"),
        (Many, r"is a Many whose locate takes \(question, reference, response\)"),
        (Streams, "is a Streams whose locate is not async def"),
        (Identity, "is a Identity whose identity is a str, 'good, version 1'; expected a mapping"),
        (lambda: Good, r"is the class Good; pass an object of it, such as Good\(\)"),
        (lambda: None, "is a NoneType; expected"),
        (lambda: 3, "is a int; expected"),
    ],
)
@pytest.mark.parametrize(
    "use", [CALOracle, lambda o: Vote([Good(), o]), lambda o: Cascade([(o, 0.5)]), lambda o: CALOracle(Vote([Vote([o])]))]
)
def test_what_is_no_oracle_is_refused_where_it_is_handed_over(made, said, use):
    with pytest.raises(UsageError, match=f"^oracle {said}") as error:
        use(made())
    assert "\n" not in str(error.value)
    assert not is_oracle(made())
    assert not isinstance(made(), Oracle)


@pytest.mark.parametrize("use", [CALOracle, lambda o: Vote([o]), lambda o: Cascade([(Good(), 0.5), (o, 0)])])
def test_an_oracle_s_front_is_none(front, use):
    assert not isinstance(front, Oracle)
    assert not is_oracle(front)
    with pytest.raises(UsageError, match="is a CALOracle, which asks an oracle; pass the provider that it was made with"):
        use(front)


@pytest.mark.parametrize("made", [Good, Nameless, Decorated, Called, ReferenceOracle, lambda: Vote([Good()])])
def test_what_is_one_is_asked(made):
    assert is_oracle(made())
    assert isinstance(made(), Oracle)
    with CALOracle(made()) as oracle:
        assert oracle.locate([QUERY])[0].tag is Tag.FOUND


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "answered with None; expected a Verdict"),
        ("1+1=3", "answered with a str, '1[+]1=3'; expected a Verdict"),
        ({"tag": "found\n"}, "answered with a dict"),
        (Verdict("no_error"), "answered with a Verdict whose tag is 'no_error'; expected a Tag"),
        ([FOUND], "answered with a list"),
    ],
)
@pytest.mark.parametrize(
    "inside", [lambda o: o, lambda o: Vote([Good(), o]), lambda o: Cascade([(o, 0.5), (Good(), 0)]), lambda o: free(o)]
)
def test_what_is_no_verdict_is_one_line_and_never_counts_as_one(answer, said, inside, tmp_path):
    with CALOracle(inside(Says(answer)), log=tmp_path / "judge.jsonl") as oracle:
        with pytest.raises(UsageError, match=f"^oracle 'good' {said}") as error:
            oracle.locate([QUERY])
        assert "\n" not in str(error.value)
        assert oracle.outcomes == {}
    assert not any(row.count('final": true') for row in lines(tmp_path / "judge.jsonl"))


def free(oracle):
    oracle.free = True
    return oracle


def lines(file):
    return file.read_text().splitlines() if file.exists() else []
