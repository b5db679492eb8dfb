"""Rollouts in the terminal: the printed form, and the browser's keys."""

import io
import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest
from rich.console import Console

from cal_grpo.cli.screen.browser import Browser
from cal_grpo.cli.screen.rollout_view import rollout_text
from cal_grpo.seeing.rollout import Rollout


@pytest.fixture
def rollouts(records):
    """Steps 1 to 3, three rollouts each: blamed, right, missed."""
    kinds = (records.rollout, records.right, records.missed)
    return [Rollout.model_validate(kind(step=s, row=r + 1)) for s in (1, 2, 3) for r, kind in enumerate(kinds)]


def console(width=80, height=30, colours=None):
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=colours, legacy_windows=False
    )


def shown(browser, **size):
    target = console(**size)
    target.print(browser.screen(target), end="")
    return target.file.getvalue()


def where(browser):
    return browser.rollout.step, browser.rollout.row


def press(browser, *keys):
    for key in keys:
        browser.press(key, 24)
    return where(browser)


def test_the_printed_form_shows_all_that_led_to_the_advantages(cal_grpo, make_run):
    status, out, _ = cal_grpo("inspect", make_run(), "--step", 1, "--row", 1)
    assert status == 0
    for expected in (
        "step 1, row 1", "What is 1+1?", "1+1⟦=3⟧\n#### 3\n\nreference solution\n1+1=2\n#### 2", "wrong",
        "answer 3, expected 2", "found, confidence 0.9",
        "1+1 is 2", "tokens 3 to 4 of 12, found by exact match", "3 × +0.3, 2 × -1, 7 × 0",
    ):  # fmt: skip
        assert expected in out
    assert "\x1b" not in out


def test_what_should_have_stood_there_is_shown_beside_the_quote(cal_grpo, make_run, records):
    verdict = {"tag": "found", "critique": "1+1 is 2", "segment": "=3", "correction": "1+1=2\n#### 2"}
    copied = verdict | {"copies_reference": True}
    run = make_run(samples=[records.rollout(verdict=verdict), records.rollout(2, verdict=copied), records.rollout(3)])
    first, second, third = (cal_grpo("inspect", run, "--step", step)[1] for step in (1, 2, 3))
    assert "quote  '=3'\n  correction  \n    1+1=2\n    #### 2\n  tokens" in first
    assert "correction  the reference's own words\n    1+1=2" in second
    assert "correction" not in third
    rows = [json.loads(line)["verdict"] for line in cal_grpo("inspect", run, "--json")[1].splitlines()]
    assert [row.get("correction") for row in rows] == ["1+1=2\n#### 2", "1+1=2\n#### 2", None]


def test_printing_keeps_to_the_step_the_kind_and_the_text(cal_grpo, make_run):
    run = make_run()
    assert cal_grpo("inspect", run)[1].count("question\n") == 4
    assert "no span: quote_not_found" in cal_grpo("inspect", run, "--show", "missed")[1]
    rows = [json.loads(line) for line in cal_grpo("inspect", run, "--show", "wrong", "--step", 2, "--json")[1].splitlines()]
    assert [(row["step"], row["row"], row["correct"]) for row in rows] == [(2, 1, False), (2, 2, False)]
    assert cal_grpo("inspect", run, "--find", "1+1=2", "--json")[1].count("\n") == 1


def test_numbers_that_are_none_are_said_in_words(cal_grpo, make_run, records):
    run = make_run(samples=[records.rollout(reward=float("nan"), advantages=[[float("inf"), 3], [-1.0, 2], [0.0, 7]])])
    printed = cal_grpo("inspect", run, "--plain")[1]
    assert ", reward not finite\n" in printed
    assert "advantages  3 × not finite, 2 × -1, 7 × 0\n" in printed


def test_numbers_that_json_lacks_are_null(cal_grpo, make_run, records):
    run = make_run(samples=[records.rollout(reward=float("nan"), advantages=[[float("inf"), 3], [-1.0, 2], [0.0, 7]])])
    (line,) = cal_grpo("inspect", run, "--json")[1].splitlines()
    row = json.loads(line, parse_constant=pytest.fail)
    assert (row["reward"], row["advantages"]) == (None, [[None, 3], [-1.0, 2], [0.0, 7]])


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({}, ["--step", "9"], "--step got 9; expected a step with rollouts, 1 to 2"),
        ({}, ["--row", "1"], "expected --step too"),
        ({}, ["--step", "1", "--row", "7"], "no rollout of step 1 fits"),
        ({}, ["--find", "nowhere"], "no rollout fits"),
        ({}, ["--show", "wrongs"], "expected one of all, wrong, right, blamed, missed"),
        ({"samples.jsonl": ""}, [], "holds no rollouts yet"),
        ({"samples.jsonl": None}, [], "holds no rollouts yet"),
        ({"samples.jsonl": '{"step": 1, "ques'}, [], "the last line is cut off"),
    ],
)
def test_what_is_missing_is_one_line_and_status_2(cal_grpo, make_run, files, arguments, message):
    status, out, err = cal_grpo("inspect", make_run(files=files), *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("cal-grpo: ")
    assert message in err


def test_a_run_that_wrote_no_samples_on_purpose_says_so(cal_grpo, make_run):
    assert "as sample_share was 0" in cal_grpo("inspect", make_run(samples=[], sample_share=0))[2]


def test_a_terminal_obeys_nothing_that_a_policy_or_a_judge_wrote(records):
    evil = "\x1b[2J\x1b]0;title\x07\u202e[bold]x[/bold]\r\x00"
    verdict = {"tag": "found", "critique": evil, "segment": evil, "missed": None, "correction": evil}
    record = records.rollout(
        question=evil, response=evil, extracted=evil, verdict=verdict, advantage_characters=[3, 2, 4],
        span={"tokens": [3, 5], "characters": [3, 5], "method": "\x1b", "score": None},
    )  # fmt: skip
    rollout = Rollout.model_validate(record)
    target = console()
    target.print(rollout_text(rollout, marked=True))
    browser = Browser(f"run{evil}", [rollout])
    browser.message = evil
    for text in (target.file.getvalue(), shown(browser)):
        assert not set("\x07\u202e\r\x00") & set(text)
        assert "\x1b[2J" not in text
        assert "\x1b]" not in text
    assert "[bold]x[/bold]" in target.file.getvalue()


def test_colours_are_the_advantages_signs_and_the_quote_is_underlined(records):
    target = console(colours="truecolor")
    target.print(rollout_text(Rollout.model_validate(records.rollout()), marked=False))
    text = target.file.getvalue()
    assert "\x1b[1;4;38;2;255;255;255;48;2;190;60;0m=3" in text  # -1, the strongest: bold, underlined, on orange
    assert "48;2;0;45;76m1+1" in text  # 0.3 of it: (0, 95, 160) at 0.25 + 0.75 * 0.3
    assert "⟦" not in text


def test_keys_move_on_and_back_and_between_steps(rollouts):
    browser = Browser("run", rollouts)
    assert where(browser) == (1, 1)
    assert press(browser, "n") == (1, 2)
    assert press(browser, "\x1b[C", " ") == (2, 1)  # the right arrow, and on into the next step
    assert press(browser, "p") == (1, 3)
    assert press(browser, "]") == (2, 1)
    assert press(browser, "\x1b[6~") == (3, 1)
    assert press(browser, "]") == (3, 1)
    assert "last step" in shown(browser)
    assert press(browser, "[", "[") == (1, 1)
    assert press(browser, "p") == (1, 1)
    assert "first one" in shown(browser)
    browser.press("q")
    assert browser.done


def test_a_jump_takes_a_step_or_a_step_and_row(rollouts):
    browser = Browser("run", rollouts)
    assert press(browser, "g", *"2.3", "\r") == (2, 3)
    assert press(browser, "g", "3", "1", "\x7f", "\n") == (3, 1)
    assert press(browser, "g", "2", "\x1b") == (3, 1)  # thought better of it
    assert press(browser, "g", "9", "\r") == (3, 1)
    assert "no rollout at 9 or after it" in shown(browser)
    assert press(browser, "g", "x", "\r") == (3, 1)
    assert "expected a step" in shown(browser)


def test_filters_keep_to_a_kind_and_find_text(rollouts):
    browser = Browser("run", rollouts)
    assert press(browser, "f") == (1, 1)  # wrong
    assert press(browser, "n") == (1, 3)
    assert press(browser, "f") == (2, 2)  # right: on to the next one that is
    assert press(browser, "f") == (3, 1)  # blamed
    assert press(browser, "f") == (3, 3)  # missed
    assert "3 of 3  missed" in shown(browser)
    assert press(browser, "f") == (3, 3)  # all
    assert press(browser, "/", *"1+1=2", "\r") == (3, 2)
    assert "3 of 3  all  /1+1=2" in shown(browser)


def test_a_filter_that_leaves_nothing_says_how_to_go_on(rollouts):
    browser = Browser("run", rollouts, find="nowhere")
    assert browser.rollout is None
    assert "no rollout is left" in shown(browser)
    for key in ("n", "]", "g", "1", "\r", "f"):
        browser.press(key)
    browser.press("/")
    browser.press("\r")
    assert browser.rollout is not None


def test_the_screen_is_as_large_as_the_terminal_and_scrolls(records):
    long = Rollout.model_validate(
        records.rollout(response="\n".join(f"line {i}" for i in range(100)), span=..., advantage_characters=..., advantages=[])
    )
    browser = Browser("run", [long])
    for width, height in ((80, 24), (40, 8), (120, 50)):
        lines = shown(browser, width=width, height=height).split("\n")
        assert len(lines) == height
        assert all(len(line) <= width for line in lines)
    assert "lines  n next" in shown(browser)
    top = shown(browser).split("\n")[2]
    browser.press("j")
    assert shown(browser).split("\n")[2] != top
    for _ in range(30):
        browser.press("d", 24)
    last = shown(browser)
    assert "advantages" in last
    assert "lines  n next" not in last
    browser.press("?")
    assert "next rollout" in shown(browser)


def test_a_real_terminal_is_browsed_with_keys_and_left_as_it_was(make_run):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "cal_grpo", "inspect", str(make_run())]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=os.environ | {"TERM": "xterm"}) as process:
        seen = b""

        def wait_for(text):
            nonlocal seen
            end = time.monotonic() + 60
            while text not in seen and time.monotonic() < end:
                if select.select([master], [], [], 1)[0]:
                    seen += os.read(master, 65536)
            assert text in seen, seen
            seen = b""

        wait_for(b"step 1, row 1")
        os.write(master, b"n")
        wait_for(b"step 1, row 2")
        os.write(master, b"g2.1\r")
        wait_for(b"step 2, row 1")
        os.write(master, b"q")
        wait_for(b"\x1b[?1049l")  # back from the alternate screen
        assert process.wait(30) == 0
    os.close(slave)
    os.close(master)
