"""An oracle that blocks where it should await is told of."""

import asyncio
import threading

import pytest

from cal_grpo.oracles.requests import watch


@pytest.fixture
def loop():
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


def watched(loop, told, ended):
    thread = threading.Thread(target=watch, args=(loop, "x", told.append, ended, 0.02))
    thread.start()
    return thread


def test_a_loop_that_is_held_up_is_told_of_once(loop):
    told, free, ended = [], threading.Event(), threading.Event()
    loop.call_soon_threadsafe(free.wait)
    watched(loop, told, ended).join(timeout=30)
    free.set()
    assert len(told) == 1
    assert "the oracle 'x' has held up all its other calls" in told[0]
    assert "\n" not in told[0]


def test_a_loop_that_only_waits_is_not(loop):
    told, ended, seen = [], threading.Event(), threading.Event()
    thread = threading.Thread(target=watch, args=(loop, "x", told.append, ended, 2.0))
    thread.start()
    loop.call_soon_threadsafe(seen.set)
    seen.wait()
    ended.set()
    thread.join(timeout=30)
    assert (thread.is_alive(), told) == (False, [])


def test_it_ends_with_the_loop():
    loop = asyncio.new_event_loop()
    loop.close()
    told = []
    thread = watched(loop, told, threading.Event())
    thread.join(timeout=30)
    assert (thread.is_alive(), told) == (False, [])
