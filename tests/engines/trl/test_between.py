"""Several processes cannot answer in the middle of a training."""

import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")

from cal_grpo.config import load_config
from cal_grpo.engines.trl.settings import trl_settings
from cal_grpo.errors import UsageError


def test_held_out_questions_between_updates_are_refused_in_a_job_of_several_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = load_config(overrides={"engine": "trl", "eval.every": 5}).fitted(96, 24)
    with pytest.raises(
        UsageError, match=r"eval.every is 5 in a job of 2 processes, which cannot .*; leave it out, or start one"
    ):
        trl_settings(config)
