"""Which engines there are, and what they need."""

from collections.abc import Mapping
from typing import Any

from cal_grpo import extras
from cal_grpo.extras import Extra
from cal_grpo.oracles import Oracle

_TUNIX = ("tunix", "jax", "flax", "optax", "orbax", "qwix", "tensorstore")
_TRL = ("trl", "torch", "transformers", "accelerate", "peft")
ENGINES = {
    "tunix": Extra("cal_grpo.engines.tunix:TunixEngine", _TUNIX),
    "trl": Extra("cal_grpo.engines.trl:TRLEngine", _TRL),
}
_JUDGES = {"tunix": Extra("cal_grpo.engines.tunix:LocalJudge", _TUNIX)}


def require_engine(name: str) -> None:
    """See that an engine is there, without the seconds that its import takes.

    Raises:
        UsageError: there is no engine of that name, and the nearest is named; or it is not installed.
    """
    extras.require("engine", name, ENGINES)


def local_judge(model: str | None, settings: Mapping[str, Any]) -> Oracle:
    """The oracle ``local``, whose model runs on an engine's own sampler.

    Args:
        model: Hugging Face folder, ``embedded``, or a hub id.
        settings: of a ``CALOracle``; those that it does not take are left aside.

    Raises:
        UsageError: the engine is not installed, or the model cannot be loaded.
    """
    judge = extras.load("engine", "tunix", _JUDGES)
    oracle: Oracle = judge(model, **{name: settings[name] for name in judge.SETTINGS if name in settings})
    return oracle
