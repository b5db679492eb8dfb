"""What a person sees of a run, drawn into a console that keeps it."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from cal_grpo.cli.screen import Panel, print_summary
from cal_grpo.config import TrainConfig
from cal_grpo.engines import UpdateTally
from cal_grpo.intervals import paired_difference
from cal_grpo.runs import Trained


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None, legacy_windows=False)


def tally(step, right, rows=8):
    update = UpdateTally(step, 20)
    update.rows, update.right, update.judged, update.found = rows, right, rows - right, rows - right - 1
    update.tokens, update.credited_tokens = 100, 25
    return update


def row(step, seconds=2.0, compiling=0.0, tokens=100.0):
    """An update's line of metrics.jsonl."""
    return {"step": step, "accuracy": 0.25, "tokens": tokens, "seconds": seconds, "compile_seconds": compiling,
            "cal/asked": 6.0, "cal/found": 5.0, "cal/credit_share": 0.5, "cal/cut_share": 0.125}  # fmt: skip


def drawn(panel):
    target = console(terminal=True)
    target.print(panel)
    return target.file.getvalue()


def test_the_panel_shows_what_the_run_is_doing():
    panel = Panel(TrainConfig(seed=7), console(terminal=True))
    panel.stage("training", 20)
    panel.begin("2 x NVIDIA H100 80GB HBM3", Path("runs/x"))
    panel.evaluated("before", 16, 64)
    panel.update(tally(1, right=2))
    panel.made(row(1))
    panel.update(tally(2, right=4))
    panel.made(row(2))
    panel.note("3 training questions skipped")
    shown = drawn(panel)
    for expected in (
        "embedded on ledger", "credit prefix", "seed 7", "training", "2/20", "left", "training accuracy 0.38",
        "on 2 x NVIDIA H100 80GB HBM3, writing runs/x", "held-out accuracy 25.0% before training", "tokens/s 50",
        "judged 4, quotes found 3", "tokens with credit 25%", "! 3 training questions skipped",
    ):  # fmt: skip
        assert expected in shown


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_run_s_curve_stays_on_its_line(width):
    target = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, legacy_windows=False)
    panel = Panel(TrainConfig(), target)
    panel.stage("training", 90)
    for step in range(1, 81):
        panel.update(tally(step, right=4, rows=512))
        panel.made(row(step))
    target.print(panel)
    (line,) = [line for line in target.file.getvalue().splitlines() if "training accuracy" in line]
    assert "▁▁▁▁▁▁▁▁" in line
    assert "tokens/s 50" in line


def test_of_evaluations_between_updates_the_last_one_is_shown():
    panel = Panel(TrainConfig(), console(terminal=True))
    for when, right in (("before", 16), ("after update 10", 24), ("after update 20", 32)):
        panel.evaluated(when, right, 64)
    assert "held-out accuracy 25.0% before training, 50.0% after update 20\n" in drawn(panel).replace(" \n", "\n")
    panel.evaluated("after", 48, 64)
    assert "25.0% before training, 50.0% after update 20, 75.0% after training" in drawn(panel)


def test_micro_batches_of_one_update_are_one_point_of_the_curve():
    panel = Panel(TrainConfig(), console(terminal=True))
    panel.stage("training", 20)
    update = tally(1, right=0, rows=4)
    panel.update(update)
    update.rows, update.right = 8, 4
    panel.update(update)
    assert "training accuracy 0.50 ▅\n" in drawn(panel).replace(" " * 3, "\n")


def test_speed_and_time_left_leave_compiling_out_and_are_known_after_one_update():
    panel = Panel(TrainConfig(), console(terminal=True))
    panel.stage("training", 20)
    panel.update(tally(1, right=0))
    assert "tokens/s -" in drawn(panel)
    assert "0/20" in drawn(panel)  # sampled and credited is not made
    panel.made(row(1, seconds=52, compiling=50))
    assert "1/20 0:38 left" in drawn(panel)  # 19 more at 2 s each
    assert "tokens/s 50" in drawn(panel)
    panel.made(row(2, seconds=4))
    assert "2/20 0:54 left" in drawn(panel)  # 18 more at 3 s each
    assert "tokens/s 33" in drawn(panel)  # 200 in 6 s
    panel.stage("evaluating after training", 64)
    assert "left" not in drawn(panel)
    assert "tokens/s 33" in drawn(panel)


def test_a_log_gets_a_line_of_a_whole_update():
    log = console(terminal=False)
    with Panel(TrainConfig(), log) as panel:
        panel.stage("training", 20)
        panel._printed = -100.0  # the last line was long ago
        update = tally(1, right=0)
        panel.update(update)
        panel.made(row(1, seconds=52, compiling=50))
    assert log.file.getvalue().splitlines()[-1].partition("] ")[2] == (
        "update 1/20  accuracy 0.25  judged 6  found 5  credit on 50%  cut off 12%  seconds 52.0 (50.0 compiling)  "
        "tokens/s 50  0:38 left"
    )


def test_plain_grpo_has_no_verdicts_in_its_line():
    log = console(terminal=False)
    with Panel(TrainConfig(), log) as panel:
        panel.stage("training", 20)
        panel._printed = -100.0
        panel.made({"step": 3, "accuracy": None, "tokens": 10, "seconds": 1.0, "compile_seconds": 0.0})
    assert log.file.getvalue().splitlines()[-1].partition("] ")[2] == "update 3/20  seconds 1.0  tokens/s 10  0:17 left"


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


def test_notes_stay_when_the_panel_goes_each_once():
    screen = console(terminal=True)
    with Panel(TrainConfig(), screen) as panel:
        for number in (1, 2, 3, 4, 4):
            panel.note(f"note {number}")
        assert drawn(panel).count("! note") == 3
    ending = screen.file.getvalue().rpartition("\x1b[2K")[2]
    assert [line for line in ending.splitlines() if line.startswith("! ")] == [f"! note {n}" for n in (1, 2, 3, 4)]


def test_the_gain_has_its_interval(tmp_path):
    held_out = [("before", 0), ("before", 0), ("after", 1), ("after", 0)]
    rows = [{"when": when, "question": f"q{i % 2}", "correct": bool(right)} for i, (when, right) in enumerate(held_out)]
    (tmp_path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    target = console(terminal=False)
    print_summary(Trained(summary(eval={"before": 0.0, "after": 0.5, "n": 2}), tmp_path), target)
    low, high = paired_difference(0, 1, 0, 1)[1:]
    assert "0.0% -> 50.0% (+50.0 points) on 2" in target.file.getvalue()
    assert f"95 % interval {100 * low:+.1f} to {100 * high:+.1f} points" in target.file.getvalue()


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
        ({"device": "NVIDIA H100 80GB HBM3"}, "NVIDIA H100 80GB HBM3"),
        ({}, "10 judged, 8 spans found (80%); missed: abstained 2"),
        ({}, "9 calls, 1 of 10 answers cached, $0.0123"),
        ({"eval": {"before": 0.25, "after": None, "n": 64}}, "25.0% on 64 questions"),
        ({"eval": {"before": None, "after": None, "n": 0}}, "runs/x"),
        ({"eval": {"before": None, "after": 0.5, "n": 64}}, "50.0% on 64 questions"),
        (
            {"eval": {"before": None, "after": 0.5, "n": 64, "best": {"update": 20, "accuracy": 0.625}}},
            "62.5% after update 20, kept in runs/x/best/policy",
        ),
    ],
)
def test_the_summary_fits_a_few_lines(changes, expected):
    target = console(terminal=False)
    print_summary(Trained(summary(**changes), Path("runs/x")), target)
    assert expected in target.file.getvalue()
    assert target.file.getvalue().count("\n") <= 10
    assert "cal-grpo report runs/x " in target.file.getvalue()


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
