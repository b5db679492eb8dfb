"""What a person sees of a run, drawn into a console that keeps it."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from cal_grpo.cli.screen.panel import Panel, print_summary
from cal_grpo.config import TrainConfig
from cal_grpo.engines import UpdateTally
from cal_grpo.runs import Trained


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None, legacy_windows=False)


def tally(step, right, rows=8):
    update = UpdateTally(step, 20)
    update.rows, update.right, update.judged, update.found = rows, right, rows - right, rows - right - 1
    update.tokens, update.credited_tokens = 100, 25
    return update


def drawn(panel):
    target = console(terminal=True)
    target.print(panel)
    return target.file.getvalue()


def test_the_panel_shows_what_the_run_is_doing():
    panel = Panel(TrainConfig(seed=7), console(terminal=True))
    panel.stage("training", 20)
    panel.update(tally(1, right=2))
    panel.update(tally(2, right=4))
    panel.note("3 training questions skipped")
    shown = drawn(panel)
    for expected in (
        "embedded on ledger", "credit prefix", "seed 7", "training", "2/20", "left", "training accuracy 0.38",
        "judged 4, quotes found 3", "tokens with credit 25%", "! 3 training questions skipped",
    ):  # fmt: skip
        assert expected in shown


def test_micro_batches_of_one_update_are_one_point_of_the_curve():
    panel = Panel(TrainConfig(), console(terminal=True))
    panel.stage("training", 20)
    update = tally(1, right=0, rows=4)
    panel.update(update)
    update.rows, update.right = 8, 4
    panel.update(update)
    assert "training accuracy 0.50 ▅\n" in drawn(panel).replace(" " * 3, "\n")


def test_time_left_comes_from_recent_batches_and_not_from_the_one_that_compiled(monkeypatch):
    panel = Panel(TrainConfig(), console(terminal=True))
    panel.stage("answering", 64)
    monkeypatch.setattr("cal_grpo.cli.screen.panel.time.monotonic", lambda: now)
    now = 100.0  # of which most went into compiling
    panel.advance(4)
    assert "left" not in drawn(panel)
    now = 110.0
    panel.advance(8)
    assert "8/64 2:20 left" in drawn(panel)  # 56 more at 2.5 s each


def test_the_result_so_far_is_shown_below_a_headline_of_ones_own():
    panel = Panel(TrainConfig(), console(terminal=True), headline=Text("evaluating"))
    panel.standing("greedy 31.2% of 16 questions")
    panel.standing("greedy 28.1% of 32 questions")
    assert drawn(panel).splitlines()[0].strip() == "evaluating"
    assert "28.1% of 32" in drawn(panel)
    assert "31.2%" not in drawn(panel)


def test_a_log_gets_lines_instead_of_a_panel():
    log = console(terminal=False)
    with Panel(TrainConfig(), log) as panel:
        panel.stage("training", 20)
        panel.note("stopping after this update")
    shown = log.file.getvalue()
    assert "training ...\n" in shown
    assert "stopping after this update\n" in shown
    assert "\x1b" not in shown


def summary(**changes):
    return {
        "seed": 0, "credit": "prefix", "steps": 3, "wall_s": 12.3, "compile_s": 4.5,
        "eval": {"before": 0.25, "after": 0.5, "n": 64},
        "oracle": {"asked": 10, "found": 8, "missed": {"abstained": 2}, "cached": 1, "calls": 9, "usd": 0.0123},
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "25.0% -> 50.0% (+25.0 points) on 64 questions"),
        ({}, "10 judged, 8 spans found (80%); missed: abstained 2"),
        ({}, "9 calls, 1 of 10 answers cached, $0.0123"),
        ({"eval": {"before": 0.25, "after": None, "n": 64}}, "25.0% on 64 questions"),
        ({"eval": {"before": None, "after": None, "n": 0}}, "runs/x"),
        ({"eval": {"before": None, "after": 0.5, "n": 64}}, "50.0% on 64 questions"),
    ],
)
def test_the_summary_fits_a_few_lines(changes, expected):
    target = console(terminal=False)
    print_summary(Trained(summary(**changes), Path("runs/x")), target)
    assert expected in target.file.getvalue()
    assert target.file.getvalue().count("\n") <= 6


@pytest.mark.parametrize(
    ("stopped", "expected"),
    [
        ("interrupt", "cal-grpo train --resume 'my runs/x'"),
        ("budget", "cal-grpo train --resume 'my runs/x' --set oracle.max_usd=MORE"),
    ],
)
def test_the_summary_of_a_stopped_run_says_how_to_go_on(stopped, expected):
    target = console(terminal=False)
    print_summary(Trained(summary(stopped=stopped), Path("my runs/x")), target)
    assert expected in target.file.getvalue()
