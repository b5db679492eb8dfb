"""Comparisons, with numbers worked out by hand."""

import itertools

import numpy as np
import pytest

from study.differences import Replicates, best, difference, gradients, over_seeds, reaches
from study.figures import figures
from study.gradient import Measurement, load, save
from study.stored import Result
from study.tables import (
    MAIN,
    accuracy_table,
    arms,
    behaviour_table,
    chosen_rates,
    compared,
    compute_table,
    other_rates_table,
    untouched_seeds_table,
    variants_table,
)
from study.trial import Trial


def right(count, of=20):
    return np.arange(of) < count


def result(credit, seed, counts, rate=2e-4, samples=None, **changes):
    """A trial with an evaluation of 20 questions every 10 updates; ``counts`` of them right."""
    trial = Trial(credit, 8, rate, seed, updates=10 * (len(counts) - 1), pass_questions=2, **changes)
    numbers = dict.fromkeys(
        ("step_error_rate", "length", "answer_steps", "kl", "entropy", "credit_share", "asked", "tokens", "seconds"), 2.0
    )
    made = [numbers | {"update": 10.0 * i, "held_out": right(n), "right_of_k": None} for i, n in enumerate(counts)]
    made[-1]["right_of_k"] = np.array(samples or [0, 16])
    return Result(trial, made)


def test_best_and_the_update_that_reaches_it():
    slow = Replicates([result("grpo", 0, [8, 10, 12, 12]), result("grpo", 1, [8, 10, 16, 12])])
    fast = Replicates([result("prefix", 0, [8, 14, 13, 15])])
    assert best(slow) == pytest.approx((12 + 16) / 2 / 20)
    assert reaches(fast, 0.7) == 10
    assert reaches(fast, 0.75) == 30
    assert reaches(fast, 0.8) is None


def test_a_difference_is_paired_by_seed():
    # Seed 2 has no partner and is left out; the others gain 2 and 4 questions of 20.
    ours = Replicates([result("prefix", seed, [0, n]) for seed, n in ((0, 12), (1, 9), (2, 20))])
    base = Replicates([result("grpo", 0, [0, 10]), result("grpo", 1, [0, 5])])
    found = difference(ours, base)
    assert found.value == pytest.approx(0.15)
    assert 0 <= found.low < 0.15 < found.high
    # Student's t of two gains, 0.1 and 0.2: one degree of freedom, 12.706 standard errors of 0.05.
    by_seed = over_seeds(ours, base)
    assert (by_seed.value, by_seed.high) == (pytest.approx(0.15), pytest.approx(0.15 + 12.706 * 0.05, abs=1e-4))
    same = difference(base, base)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_pass_at_k_counts_all_choices_of_k():
    # 3 right of 16: a draw of 4 misses them all in C(13, 4) of C(16, 4) ways.
    arm = Replicates([result("grpo", 0, [0, 1], samples=[3])])
    ways = [set(c) & {0, 1, 2} for c in itertools.combinations(range(16), 4)]
    assert arm.pass_at(4) == pytest.approx(np.mean([bool(w) for w in ways]))
    assert arm.pass_at(1) == pytest.approx(3 / 16)
    assert Replicates([result("grpo", 0, [0, 1], samples=[0])]).pass_at(16) == 0


def test_collapse_is_half_of_the_start():
    assert Replicates([result("nsr", 0, [10, 4]), result("nsr", 1, [10, 5])]).collapsed() == 1


def test_the_rate_with_the_best_final_accuracy_is_chosen_and_a_tie_takes_the_smaller():
    found = arms(
        [result("grpo", s, [8, n], rate=r) for s in (0, 1) for r, n in ((1e-4, 12), (2e-4, 12), (4e-4, 9))]
        + [result("prefix", 0, [8, 20], rate=4e-4)]  # seed 1 is missing: not on the grid
    )
    assert chosen_rates(found) == {"grpo": 1e-4}


def test_tables_and_figures_are_made_of_what_there_is():
    found = arms([result(c, s, [8, n, n + s]) for s in (0, 1) for c, n in (("grpo", 10), ("prefix", 14))])
    of = compared(found, MAIN)
    assert list(of) == ["grpo", "prefix"]
    table = accuracy_table(of, of["grpo"])
    assert "| `prefix` | 0.0002 | 2 | 0.400 | 0.700 | 0.725 | 0.725 | +20.0 [" in table
    assert table.splitlines()[-1].endswith("|  | 10 | 0 |")
    assert "| `grpo` | 0.0002 | 2 | 0.400 | 0.500 | 0.525 | 0.525 |  |  | +20.0 [" in table  # the default against it
    assert "0.500" in behaviour_table(of)  # pass@1 of 0 and 16 right answers of 16
    assert "never" not in compute_table(of, of["grpo"])
    assert set(figures(found)) == {"accuracy-8-from-40"}
    assert figures(found)["accuracy-8-from-40"].count("<polyline") == 2


def test_gains_are_drawn_by_start_and_only_fair_starts_by_length():
    usual = [result(c, s, [8, n]) for s in (0, 1) for c, n in (("grpo", 10), ("prefix", 14))]
    weak = [result(c, s, [2, n], policy="weak") for s in (0, 1) for c, n in (("grpo", 4), ("prefix", 14))]
    drawn = figures(arms(usual + weak))
    assert set(drawn) == {"accuracy-8-from-40", "accuracy-8-from-10", "gain-by-start"}  # a length has one fair start
    assert ">10</text>" in drawn["gain-by-start"]
    assert ">40</text>" in drawn["gain-by-start"]


def test_seeds_that_chose_no_rate_are_compared_alone():
    gains = {0: 19, 1: 19, 2: 12, 3: 12}  # seeds 0 and 1 chose the rates
    found = arms([result(c, s, [8, 10 if c == "grpo" else n]) for s, n in gains.items() for c in ("grpo", "prefix")])
    of = compared(found, MAIN)
    assert untouched_seeds_table(of, of["grpo"]).splitlines()[2:][0].startswith("| `prefix` | 2 | +10.0 [")
    early = {name: Replicates(list(arm.results)[:2]) for name, arm in of.items()}
    assert untouched_seeds_table(early, early["grpo"]) == ""


def test_a_changed_setting_has_its_own_table():
    usual = [result(c, s, [8, n]) for s in (0, 1) for c, n in (("grpo", 10), ("prefix", 14))]
    small = [result(c, s, [8, n], batch_size=2) for s in (0, 1) for c, n in (("grpo", 8), ("prefix", 20))]
    paid = [result("prefix", s, [8, 13], prefix_reward=1.0) for s in (0, 1)]
    found = arms(usual + small + paid)
    assert [arm.curves[:, -1].mean() for arm in compared(found, MAIN).values()] == [0.5, 0.7]  # none of the others
    rows = variants_table(found).splitlines()[2:]
    assert rows[0] == "| questions an update 2 | `grpo` | 10 | 2 | 0.400 |  |"
    assert rows[1].startswith("| questions an update 2 | `prefix` | 10 | 2 | 1.000 | +60.0 [")
    assert rows[2].startswith("| prefix reward 1 | `prefix` | 10 | 2 | 0.650 | +15.0 [")


def test_a_rate_that_was_not_chosen_is_compared_with_grpo_at_the_same_one():
    chosen = [result(c, s, [8, 10]) for s in (0, 1) for c in ("grpo", "prefix")]
    away = [result(c, s, [8, n], rate=4e-4, policy="p") for s in (0, 1) for c, n in (("grpo", 10), ("prefix", 12))]
    found = arms(chosen + away)
    rows = other_rates_table(found, ("p", 8)).splitlines()[2:]
    assert rows[0] == "| `grpo` | 0.0004 | 2 | 0.500 |  |  |"
    assert rows[1].startswith("| `prefix` | 0.0004 | 2 | 0.600 | +10.0 [")
    assert other_rates_table(found, MAIN) == other_rates_table(arms(chosen), ("p", 8)) == ""


def measurement(along, noise, rng, batches=400):
    """Gradients ``along * e0 + noise`` in 50 dimensions, against ∇J = e0."""
    g_NP = rng.normal(size=(batches, 50)) * noise
    g_NP[:, 0] += along
    sums_NP = np.vstack([np.zeros(50), np.cumsum(g_NP, axis=0)[:-1]])
    before_N = (g_NP * sums_NP).sum(axis=1)
    return Measurement(np.repeat(g_NP[:, :1], 3, axis=1), (g_NP**2).sum(axis=1), before_N, np.full(batches, 0.5))


def test_efficiency_is_relative_and_the_parts_are_right():
    rng = np.random.default_rng(1)
    gram_KK = np.ones((3, 3)) + np.diag([5.0, 5.0, 5.0])  # its diagonal has the estimates' own noise
    measured = {"grpo": measurement(1.0, 0.5, rng), "twice": measurement(1.0, 0.25, rng), "scaled": measurement(3.0, 1.5, rng)}
    found = gradients(measured, gram_KK, draws=200)
    assert found["grpo"].efficiency.value == 1
    # E|g|^2 is 1 + 50 / 4 and 1 + 50 / 16.
    assert found["twice"].efficiency.value == pytest.approx(13.5 / 4.125, rel=0.1)
    assert found["twice"].efficiency.low < 13.5 / 4.125 < found["twice"].efficiency.high
    assert found["scaled"].efficiency.value == pytest.approx(1, rel=0.1)  # the length of a gradient does not matter
    assert found["grpo"].noise == pytest.approx(12.5 / 13.5, abs=0.02)
    assert found["grpo"].angle == pytest.approx(np.degrees(np.arccos(13.5**-0.5)), abs=2)
    assert found["grpo"].expected_angle < 15


def test_measurements_are_read_back(tmp_path):
    rng = np.random.default_rng(2)
    measured = {"grpo": measurement(1.0, 0.5, rng, 4)}
    save(tmp_path / "g" / "8.csv", measured, np.eye(3))
    again, gram_KK = load(tmp_path / "g" / "8.csv")
    np.testing.assert_array_equal(gram_KK, np.eye(3))
    np.testing.assert_allclose(again["grpo"].dots_NK, measured["grpo"].dots_NK, rtol=1e-4)
    np.testing.assert_allclose(again["grpo"].before_N, measured["grpo"].before_N, rtol=1e-4)
