"""Where is a training watched? Trackers are callbacks; they get the names and numbers of ``metrics.jsonl``."""

from collections.abc import Iterable

from cal_grpo import extras
from cal_grpo.extras import Extra
from cal_grpo.runs.callbacks import Callback

TRACKERS = {
    "tensorboard": Extra("cal_grpo.runs.trackers.tensorboard:TensorBoard", ("tensorboardX",)),
    "wandb": Extra("cal_grpo.runs.trackers.hosted:WeightsAndBiases", ("wandb",)),
    "trackio": Extra("cal_grpo.runs.trackers.hosted:Trackio", ("trackio",)),
}


def trackers_of(names: Iterable[str]) -> list[Callback]:
    """The trackers of these names.

    Raises:
        UsageError: there is no such tracker, and the nearest is named; it is not installed; or it has no key.
    """
    return [extras.load("tracker", name, TRACKERS)() for name in names]


__all__ = ["TRACKERS", "trackers_of"]
