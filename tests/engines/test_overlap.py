"""The thread between Tunix's two: order, repeats, and what happens when something fails."""

import queue
import threading

import pytest
from tunix.rl.queue.data_queue import SimpleDataQueue

from cal_grpo.engines.tunix.training.overlap import PendingExample, Redeemer


def drained(finished):
    items = []
    while (item := finished.get(timeout=5)) is not None:
        items.append(item)
    return items


def test_examples_come_out_in_order_though_the_first_is_the_slowest():
    finished, first = SimpleDataQueue(), threading.Event()
    redeemer = Redeemer(finished)
    redeemer.pending.put([PendingExample(lambda: first.wait(5) and "first")])
    redeemer.pending.put([PendingExample(lambda: "second")])
    redeemer.pending.put(None)
    with pytest.raises(queue.Empty):
        finished.get(block=False)
    first.set()
    redeemer.join()
    assert drained(finished) == [["first"], ["second"]]


def test_an_example_that_tunix_repeats_is_redeemed_once():
    finished, redeemed = SimpleDataQueue(), []
    example = PendingExample(lambda: redeemed.append("once") or "example")
    redeemer = Redeemer(finished)
    for item in ([example], [example], None):
        redeemer.pending.put(item)
    redeemer.join()
    assert drained(finished) == [["example"], ["example"]]
    assert redeemed == ["once"]


def test_a_failure_ends_the_queue_and_surfaces_where_the_preparing_thread_joins():
    def fails():
        raise RuntimeError("no verdict")

    finished = SimpleDataQueue()
    redeemer = Redeemer(finished)
    for item in ([PendingExample(lambda: "good")], [PendingExample(fails)], [PendingExample(lambda: "never")], None):
        redeemer.pending.put(item)
    assert drained(finished) == [["good"]]
    with pytest.raises(RuntimeError, match="no verdict"):
        redeemer.join()
