"""Engines and trackers by name: unknown, not installed, broken."""

import importlib.util
import sys

import pytest

from cal_grpo import extras
from cal_grpo.config import TrainConfig
from cal_grpo.engines import ENGINES, engine_of, require_engine
from cal_grpo.errors import UsageError
from cal_grpo.extras import Extra
from cal_grpo.oracles import CALOracle
from cal_grpo.runs import TRACKERS, evaluate, train


def lacking(monkeypatch, *packages):
    """As in an environment in which these were never installed."""
    for name in list(sys.modules):
        if name.partition(".")[0] in packages or name.startswith("cal_grpo.engines.tunix"):
            monkeypatch.delitem(sys.modules, name)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize("package", ["tunix", "jax", "qwix"])
def test_an_engine_that_is_not_installed_is_one_line(monkeypatch, tmp_path, package):
    monkeypatch.chdir(tmp_path)
    lacking(monkeypatch, package)
    for attempt in (
        lambda: require_engine("tunix"),
        lambda: engine_of("tunix"),
        lambda: train(TrainConfig()),
        lambda: evaluate(TrainConfig()),
        lambda: CALOracle("local", model="embedded"),
    ):
        with pytest.raises(UsageError) as error:
            attempt()
        assert str(error.value) == "engine 'tunix' is not installed; pip install 'cal-grpo[tunix]'"
    assert list(tmp_path.iterdir()) == []


def test_what_an_engine_imports_in_vain_is_seen_though_its_package_seemed_to_be_there(monkeypatch):
    lacking(monkeypatch, "jax")
    monkeypatch.setattr(extras, "_is_there", lambda package: True)
    with pytest.raises(UsageError, match=r"pip install 'cal-grpo\[tunix\]'"):
        engine_of("tunix")


@pytest.mark.parametrize("text", ["import no_such_module", "import json.no_such_part", "raise RuntimeError('a bug')"])
def test_a_fault_of_the_parts_own_is_no_missing_package(monkeypatch, tmp_path, text):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_engine.py").write_text(text + "\n")
    with pytest.raises((ModuleNotFoundError, RuntimeError)):
        extras.load("engine", "own", {"own": Extra("own_engine:Engine", ("json",))})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": "tunx"}, "engine is 'tunx'; expected one of tunix, trl; did you mean 'tunix'?"),
        ({"engine": "verl"}, "engine is 'verl'; expected one of tunix, trl"),
        ({"tracker": "wandbb"}, "tracker is 'wandbb'; expected one of tensorboard, wandb, trackio; did you mean 'wandb'?"),
    ],
)
def test_an_unknown_name_is_one_line_before_anything_is_written(monkeypatch, tmp_path, changes, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        train(TrainConfig.model_validate(changes))
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_one_line_before_anything_is_written(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    lacking(monkeypatch, *TRACKERS[name].needs)
    with pytest.raises(UsageError) as error:
        train(TrainConfig.model_validate({"tracker": f"tensorboard,{name}"}))
    assert str(error.value) == f"tracker {name!r} is not installed; pip install 'cal-grpo[{name}]'"
    assert list(tmp_path.iterdir()) == []


def test_every_name_leads_to_a_module_that_is_there():
    for extra in [*ENGINES.values(), *TRACKERS.values()]:
        assert importlib.util.find_spec(extra.home.partition(":")[0])
