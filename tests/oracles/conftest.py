"""Oracles asked over real HTTP, with the official clients, by whichever protocol."""

import pytest
from _judge_server import JudgeServer

from cal_grpo.oracles import CALOracle, Query

KEY = "sk-0123456789-secret"


@pytest.fixture
def server():
    with JudgeServer() as running:
        yield running


@pytest.fixture(params=["openai", "gemini"])
def protocol(request):
    return request.param


@pytest.fixture
def told():
    """What a person was told."""
    return []


@pytest.fixture
def connect(server, protocol, told):
    """``connect(**settings)``: an oracle on the test's server, closed at the end. Retries are quick by default."""
    opened = []

    def build(provider=protocol, **settings):
        defaults = {"model": "m", "base_url": getattr(server, provider), "api_key": KEY, "tell": told.append}
        oracle = CALOracle(provider, **defaults | settings)
        opened.append(oracle)
        return oracle

    yield build
    for oracle in opened:
        oracle.close()


def query(i=0):
    return Query(f"What is {i}+1?", f"{i}+1={i + 1}", f"{i}+1={i + 2}\nso {i + 2}")


@pytest.fixture
def ask():
    return query
