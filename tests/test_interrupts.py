"""Ctrl-C and SIGTERM, sent to real processes: the first is never lost, whoever swallows it, and the second ends at once.

The trainings here end while a task of the user's own is imported, before anything heavy is.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from cal_grpo import interrupts

ASKS = """
import os, signal, time

print("importing", flush=True)
{what}
task = None
"""
SWALLOWED = """
try:
    os.kill(os.getpid(), signal.{signal})
    time.sleep(60)
except:
    pass
"""
TURNED = """
try:
    os.kill(os.getpid(), signal.{signal})
    time.sleep(60)
except KeyboardInterrupt:
    raise ImportError("half of it is missing")
"""
DEAF = """
while True:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException:
        print("no", flush=True)
"""


def training(folder, what):
    (folder / "mine.py").write_text(ASKS.format(what=what))
    command = [sys.executable, "-m", "cal_grpo", "train", "--task", "mine:task", "--output", "run"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("what", [SWALLOWED, TURNED], ids=["swallowed", "turned into another error"])
def test_the_first_one_counts_whatever_an_import_makes_of_it(tmp_path, what, name):
    with training(tmp_path, what.format(signal=name)) as process:
        out, err = process.communicate(timeout=100)
    assert out == "importing\n"
    assert err.splitlines()[-1] == "cal-grpo: interrupted"
    assert "Traceback" not in err
    assert process.returncode == 130
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)])
def test_the_second_one_ends_what_swallows_everything(tmp_path, numbers):
    with training(tmp_path, DEAF) as process:
        assert [process.stdout.readline() for _ in "12"] == ["importing\n", "ready\n"]
        process.send_signal(numbers[0])
        assert process.stdout.readline() == "no\n"
        process.send_signal(numbers[1])
        _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "cal-grpo: interrupted"
    assert "Traceback" not in err


@pytest.fixture
def press():
    """Sends this process a signal."""
    return lambda number=signal.SIGINT: os.kill(os.getpid(), number)


def swallow(call):
    with contextlib.suppress(KeyboardInterrupt):
        call()
        return False
    return True


def test_what_was_swallowed_is_raised_where_a_program_can_end(press):
    with interrupts.heard():
        interrupts.check()
        assert swallow(press)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt), interrupts.ends_in_good_order(print, "never said"):
            pass
    interrupts.check()  # the next one begins anew


def test_an_error_after_it_is_its_consequence_and_others_stay_what_they_are(press):
    def half_made():
        swallow(press)
        raise ImportError("half-made")

    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        half_made()
    with pytest.raises(ImportError), interrupts.heard():
        raise ImportError("missing")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_good_order_the_first_one_is_an_event_and_the_second_one_insists(press, number):
    said, insisted = [], []
    before = signal.getsignal(number)
    with interrupts.heard(insist=lambda: insisted.append(True)):
        with interrupts.ends_in_good_order(said.append, "stopping") as stop:
            assert not stop.is_set()
            press(number)
            assert stop.is_set()
            assert said == ["stopping"]
            assert swallow(lambda: press(number))
            assert insisted == [True]
        interrupts.check()  # it was answered
    assert signal.getsignal(number) is before


def test_whoever_says_it_in_the_middle_of_a_line_does_not_end_the_run(press):
    def reentrant(text):
        raise RuntimeError("reentrant call inside <_io.BufferedWriter>")

    with interrupts.ends_in_good_order(reentrant, "stopping") as stop:
        press()
        assert stop.is_set()


def test_another_thread_hears_nothing():
    before, heard = signal.getsignal(signal.SIGTERM), []

    def elsewhere():
        with interrupts.ends_in_good_order(print, "") as stop:
            heard.append((stop.is_set(), signal.getsignal(signal.SIGTERM) is before))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert heard == [(False, True)]
