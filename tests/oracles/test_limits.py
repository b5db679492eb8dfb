"""Paces, and what refusals teach, on a clock of the test's own."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.oracles import Tag, Usage, Verdict
from cal_grpo.oracles.requests.breaker import Breaker
from cal_grpo.oracles.requests.limits import Limits
from cal_grpo.oracles.requests.pace import Pace


@given(per_minute=st.integers(1, 2000), gaps=st.lists(st.floats(0, 20), max_size=200))
def test_no_minute_holds_more_than_the_pace_allows(per_minute, gaps):
    pace, now, taken = Pace(per_minute), 0.0, []
    for gap in [*gaps, *[0.0] * 300]:
        now += gap
        now += max(pace.wait_s(now), 0.0)
        pace.take(1, now)
        taken.append(now)
    for first, start in enumerate(taken):
        assert sum(start <= t < start + 60 for t in taken[first : first + per_minute + 1]) <= per_minute


def test_a_pace_loses_little_and_is_corrected():
    pace, now = Pace(600), 0.0
    for _ in range(3000):
        now += max(pace.wait_s(now), 0.0)
        pace.take(1, now)
    assert 3000 / now * 60 == pytest.approx(600, rel=0.03)
    pace.correct(600)
    assert pace.wait_s(now) == pytest.approx(60 / 0.98, rel=0.01)


def test_tokens_are_set_aside_at_the_measured_mean():
    limits, now, used = Limits(tpm=60_000), 0.0, 0
    draw = random.Random("tokens")
    for _ in range(400):
        now += max(limits.wait_s(now), 0.0)
        started, expected = now, limits.start(now)
        tokens = draw.choice([200, 2000])
        used += tokens
        now += 0.01
        limits.finish(Verdict(Tag.NO_ERROR, usage=Usage(1, tokens - 50, 50)), expected, started, now)
    assert expected == pytest.approx(1100, rel=0.1)
    assert used / now * 60 == pytest.approx(60_000, rel=0.05)


def simulate(limits, admits, *, calls, concurrency=32, latency_s=0.5, now=0.0):
    """Calls through ``limits`` against a server that ``admits(now) -> None or Retry-After``; refused share, seconds."""
    refused, done, running = 0, 0, []
    while done < calls:
        wait = limits.wait_s(now)
        if wait <= 0 and len(running) < concurrency:
            pause = admits(now)
            took = latency_s if pause is None else 0.01
            running.append((now + took, now, limits.start(now), pause))
            continue
        times = [now + wait] if wait > 0 and len(running) < concurrency else []
        now = min([*times, *(end for end, *_ in running)])
        for entry in [e for e in running if e[0] <= now]:
            running.remove(entry)
            _, started, expected, pause = entry
            tag = Tag.NO_ERROR if pause is None else Tag.RATE_LIMITED
            told = None if pause is None or pause < 0 else pause
            limits.finish(Verdict(tag, usage=Usage(1, 100, 10), retry_after_s=told), expected, started, now)
            refused += pause is not None
            done += pause is None
    return refused / (refused + done), now


def window(requests, seconds, tell=True):
    taken = []

    def admits(now):
        taken[:] = [t for t in taken if t > now - seconds]
        if len(taken) < requests:
            taken.append(now)
            return None
        return taken[0] + seconds - now if tell else -1

    return admits


def bucket(size, per_second):
    state = [float(size), 0.0]

    def admits(now):
        level = min(size, state[0] + (now - state[1]) * per_second)
        state[:] = [level - 1, now] if level >= 1 else [level, now]
        return None if level >= 1 else (1 - level) / per_second

    return admits


@pytest.mark.parametrize(
    ("server", "best_s"),
    [
        (lambda: window(600, 60), 950),
        (lambda: window(600, 60, tell=False), 950),
        (lambda: window(20, 2), 950),
        (lambda: window(60, 60), 10_000),
        (lambda: bucket(600, 10), 940),
        (lambda: bucket(10, 10), 1000),
    ],
    ids=["600 a minute", "600 a minute, without Retry-After", "20 in 2 s", "60 a minute", "bucket of 600", "bucket of 10"],
)
def test_an_unknown_limit_is_learnt_from_few_refusals(server, best_s):
    share, seconds = simulate(Limits(), server(), calls=10_000)
    assert share < 0.01
    assert seconds < 1.25 * best_s


def test_a_refusal_at_the_beginning_hardly_holds_up_who_asks_one_by_one():
    refusals = [-1]
    _, seconds = simulate(Limits(), lambda now: refusals.pop() if refusals else None, calls=200, concurrency=1)
    assert seconds < 1.1 * 200 * 0.5


def test_refusals_at_random_do_not_bring_calls_to_a_halt():
    draw = random.Random("refusals")
    _, seconds = simulate(
        Limits(), lambda now: 0.05 if draw.random() < 0.3 else None, calls=200, concurrency=16, latency_s=0.02
    )
    assert seconds < 60


def test_a_known_limit_is_never_met():
    share, seconds = simulate(Limits(rpm=600), window(600, 60), calls=3000)
    assert share == 0
    assert seconds < 1.05 * 300


def test_a_limit_that_is_lifted_is_found_out():
    limits = Limits()
    _, learnt = simulate(limits, window(60, 60), calls=300)
    _, freed = simulate(limits, lambda now: None, calls=5000, now=learnt)
    _, ended = simulate(limits, lambda now: None, calls=300, now=freed)
    assert ended - freed < 10  # 64 calls a second, where 300 took 5 minutes


def test_breaker_on_its_own_clock():
    breaker = Breaker(failures=2, pause_s=10)
    assert breaker.allows(0)
    assert not breaker.finish(True, 0)
    assert not breaker.finish(False, 0)  # not in a row
    assert not breaker.finish(True, 0)
    assert breaker.finish(True, 1)
    assert not breaker.allows(10.9)
    assert breaker.allows(11)
    breaker.start(11)
    assert not breaker.allows(1000)  # one trial at a time
    assert not breaker.finish(True, 12)  # opened again: nothing new to tell
    assert not breaker.allows(21)
    breaker.start(22)
    assert breaker.finish(False, 23)
    assert breaker.allows(23)
    never = Breaker(failures=0)
    assert not any(never.finish(True, 0) for _ in range(100))
    assert never.allows(0)


@pytest.mark.parametrize(("calls", "wait_s"), [(0, -1.0), (1, 0.0204), (3, 2.0612)])
def test_the_pace_of_requests_is_corrected_by_the_calls_that_a_question_took(calls, wait_s):
    """A request takes 60/(60 x 0.98) = 1.0204 s of the pace, after a second's worth at once."""
    limits = Limits(rpm=60)
    expected = limits.start(0.0)
    limits.finish(Verdict(Tag.NO_ERROR, usage=Usage(calls, 100, 10)), expected, 0.0, 0.0)
    assert limits.wait_s(0.0) == pytest.approx(wait_s, abs=1e-4)
