"""Settings that the chosen oracle makes no use of, and oracles of a user's own by name."""

import sys
import types

import pytest

from cal_grpo.config import OracleSection, TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.oracles import PROVIDERS, CALOracle, Query, ReferenceOracle, Tag, Verdict, takes
from cal_grpo.oracles.several import Vote

QUERY = Query("What?", "It is 7.", "It is 9, because 4 and 5 are 9.\nSo 9.")
KEY = {"api_key": "k" * 20}


class Own:
    name = "own"

    def __init__(self):
        self.asked = 0

    async def locate(self, query):
        self.asked += 1
        return Verdict(Tag.FOUND, "own", "So 9")


class Wants:
    def __init__(self, model):
        pass


@pytest.fixture
def module(monkeypatch):
    found = types.ModuleType("mypkg.judges")
    found.Strict, found.Wants, found.ready, found.number = Own, Wants, Own(), 3
    found.make = lambda: Own()
    found.nothing = lambda: None
    found.broken = lambda: 1 / 0
    monkeypatch.setitem(sys.modules, "mypkg", types.ModuleType("mypkg"))
    monkeypatch.setitem(sys.modules, "mypkg.judges", found)
    return found


@pytest.mark.parametrize(
    ("provider", "settings", "said"),
    [
        ("reference", {"model": "x"}, "oracle 'reference' makes no use of model; leave it out, or choose openai or gemini or"),
        ("reference", {"max_usd": 1.0}, "makes no use of max_usd"),
        ("arithmetic", {"few_shot": "nowhere.json"}, "makes no use of few_shot"),
        ("arithmetic", {"style": "repair"}, "makes no use of style"),
        ("local", {"model": "embedded", "base_url": "http://127.0.0.1:9"}, "makes no use of base_url"),
        ("local", {"model": "embedded", "max_usd": 1.0}, "makes no use of max_usd"),
        ("reference@0.5 > arithmetic", {"model": "x"}, "'reference@0.5 > arithmetic' makes no use of model"),
        ("2 x reference", {"prices": "x.yaml"}, "makes no use of prices"),
        ("reference:x", {}, "oracle 'reference:x': reference has no model"),
        ("mypkg.judges:Strict", {"model": "x"}, "makes no use of model"),
        (Own(), {"model": "x"}, "oracle object 'own' makes no use of model"),
        (Own(), {"style": "repair"}, "makes no use of style"),
        (ReferenceOracle(), {"max_usd": 1.0}, "oracle object 'reference' makes no use of max_usd"),
        (Vote([ReferenceOracle()]), {"max_answer_tokens": 9}, "oracle object 'vote' makes no use of max_answer_tokens"),
    ],
)
def test_a_setting_that_would_be_ignored_is_refused(module, provider, settings, said):
    with pytest.raises(UsageError, match=said) as error:
        CALOracle(provider, **settings)
    assert "\n" not in str(error.value)


def test_what_one_of_several_uses_is_taken():
    CALOracle("reference@0.6 > openai", model="m", **KEY)
    CALOracle("arithmetic > majority(reference, gemini)", style="repair", **KEY)
    CALOracle(Vote([ReferenceOracle(), Own()]), max_usd=1.0)


@pytest.mark.parametrize("provider", ["reference", "arithmetic", "reference@0.5 > arithmetic", Own(), ReferenceOracle()])
def test_a_config_s_defaults_are_no_settings(provider):
    names = [name for name in OracleSection.model_fields if name not in ("on_budget", "min_found")]
    config = TrainConfig()
    CALOracle(
        provider,
        model=config.cal_model,
        base_url=config.cal_base_url,
        **{name: getattr(config.oracle, name) for name in names},
    )


def test_the_table_knows_every_provider():
    assert set(PROVIDERS) == {"reference", "arithmetic", "openai", "gemini", "local"}
    assert takes("reference@0.6 > gemini", "few_shot")
    assert not takes("2 x reference", "few_shot")


@pytest.mark.parametrize("name", ["Strict", "make", "ready"])
def test_an_oracle_of_ones_own_by_its_name(module, name, tmp_path):
    with CALOracle(f"mypkg.judges:{name}", cache=True) as oracle:
        found = oracle.locate([QUERY])[0]
    assert (oracle.name, found.critique, oracle.spent.calls) == ("own", "own", 1)


def test_one_s_own_inside_a_line(module):
    line = "arithmetic > 2 x mypkg.judges:ready@0.5 > reference"
    with CALOracle(line) as oracle:
        assert oracle.locate([QUERY])[0].critique == "own"
        assert (oracle.spent.calls, module.ready.asked) == (2, 2)


def test_a_registered_name(module, monkeypatch):
    class Entry:
        name, value = "strict", "mypkg.judges:Strict"

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Entry] if group == "cal_grpo.oracles" else [])
    with CALOracle("reference@1 > strict") as oracle:
        assert oracle.locate([QUERY])[0].critique == "own"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mypkg.judges:Nothing", "module 'mypkg.judges' has no 'Nothing'"),
        ("nopkg.judges:Strict", "there is no module 'nopkg'"),
        ("mypkg.judges:number", "oracle 'mypkg.judges:number' is a int; expected"),
        ("mypkg.judges:broken", "'mypkg.judges:broken' cannot be made [(]ZeroDivisionError: division by zero"),
        ("mypkg.judges:nothing", "oracle 'mypkg.judges:nothing' is a NoneType; expected"),
        ("mypkg.judges:Wants", r"oracle 'mypkg.judges:Wants' takes \(model\); expected a class or a function that needs no"),
        ("reference > mypkg.judges:number", "oracle 'mypkg.judges:number' is a int; expected"),
    ],
)
def test_what_is_no_oracle_under_a_name_is_one_line(module, name, said):
    with pytest.raises(UsageError, match=said) as error:
        CALOracle(name)
    assert "\n" not in str(error.value)


def test_an_explicit_cache_wants_an_identity(module, tmp_path):
    with pytest.raises(UsageError, match="oracle 'own' has no identity"):
        CALOracle("mypkg.judges:Strict", cache=tmp_path / "c.db")
