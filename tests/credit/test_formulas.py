import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.alignment import Miss, TokenSpan
from cal_grpo.credit import (
    FORMULAS,
    Batch,
    Weights,
    assign_credit,
    check_on_trouble,
    construct_sparse_rewards,
    declares,
    formula,
    group_relative,
)
from cal_grpo.errors import UsageError


def span(start, end):
    return TokenSpan(start, end, char_start=0, char_end=1, method="exact", score=1.0)


def batch(rewards, lengths, spans, group_size, rng=None):
    rewards_B = np.array(rewards, np.float32)
    return Batch(rewards_B, rewards_B == 1, np.array(lengths), spans, group_size, rng=rng or np.random.default_rng(0))


def steps_and_logprobs(b, step_ends=None, probabilities=None):
    logprobs = None if probabilities is None else [np.log(np.array(row, np.float32)) for row in probabilities]
    ends = None if step_ends is None else [np.array(row) for row in step_ends]
    return dataclasses.replace(b, step_ends=ends, logprobs=logprobs)


# One question, two answers: right of 3 tokens, wrong of 5 with tokens 2 and 3 blamed.
# Rewards 1, 0: mean 0.5, sample std sqrt(0.5) = 0.70711, so A = +-0.70711.
PAIR = batch([1, 0], [3, 5], [None, span(2, 4)], 2)
A = 0.70711


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grpo", [[A, A, A, 0, 0], [-A, -A, -A, -A, -A]]),
        ("sparse", [[0, 0, 0, 0, 0], [0, 0, -0.5, -0.5, 0]]),
        ("balanced", [[A, A, A, 0, 0], [0, 0, -1, -1, 0]]),
        ("prefix", [[A, A, A, 0, 0], [0.3, 0.3, -1, -1, 0]]),
        # Of the two tokens before the error, half are paid.
        ("prefix_shortened", [[A, A, A, 0, 0], [0.3, 0, -1, -1, 0]]),
        ("dr_grpo", [[0.5, 0.5, 0.5, 0, 0], [-0.5] * 5]),
        ("rloo", [[1, 1, 1, 0, 0], [-1] * 5]),
        ("nsr", [[0] * 5, [-1] * 5]),
        ("w_reinforce", [[0.1, 0.1, 0.1, 0, 0], [-1] * 5]),
        # Token rewards 2 2 2 | 0 0 -1 -1 0: mean 0.5, variance 14/8 - 0.25 = 1.5, std 1.22474.
        ("capo", [[1.22474, 1.22474, 1.22474, 0, 0], [-0.40825, -0.40825, -1.22474, -1.22474, -0.40825]]),
        # The right answer earns 1, the wrong one 0.5 on one token: mean 0.75.
        ("vppo", [[0.25, 0.25, 0.25, 0, 0], [-0.25, -0.75, -0.75, -0.75, -0.75]]),
        # All that was likelier than 0.9 is masked: see the probabilities below.
        ("probability_mask", [[0, A, 0, 0, 0], [0, -A, -A, 0, -A]]),
    ],
)
def test_one_right_and_one_wrong_answer(name, expected):
    probabilities = [[0.99, 0.5, 0.95], [0.92, 0.6, 0.3, 0.97, 0.1]]
    pair = steps_and_logprobs(PAIR, [[1, 3], [2, 4, 5]], probabilities)
    advantages_BT = assign_credit(name, pair, Weights(), [None, None])
    assert advantages_BT.dtype == np.float32
    np.testing.assert_allclose(advantages_BT, expected, atol=1e-4)


def test_a_rare_wrong_answer_carries_more_than_the_negative_reward():
    # Seven right and one wrong: mean 7/8, sample std sqrt(8 * 7/64 / 7) = sqrt(1/8) = 0.35355; A_wrong = -2.4749.
    rare = batch([1] * 7 + [0], [2] * 8, [None] * 7 + [span(1, 2)], 8)
    for name in ("balanced", "prefix"):
        assert assign_credit(name, rare, Weights(), [None] * 8)[7, 1] == pytest.approx(-2.4749, abs=1e-3)


def test_a_group_without_a_right_answer_teaches_grpo_nothing_and_prefix_something():
    hopeless = batch([0, 0], [4, 4], [span(1, 2), span(3, 4)], 2)
    assert not assign_credit("grpo", hopeless, Weights(), [None] * 2).any()
    np.testing.assert_allclose(
        assign_credit("prefix", hopeless, Weights(), [None] * 2), [[0.3, -1, 0, 0], [0.3, 0.3, 0.3, -1]], rtol=1e-6
    )


def test_prefix_lifts_right_answers_of_an_all_right_group():
    easy = batch([1, 1], [2, 1], [None, None], 2)
    np.testing.assert_allclose(assign_credit("prefix", easy, Weights(), [None] * 2), [[0.3, 0.3], [0.3, 0]], rtol=1e-6)
    assert not assign_credit("balanced", easy, Weights(), [None] * 2).any()


def test_even_pays_correct_work_as_prefix_does_up_to_what_the_error_costs():
    # Two tokens at 0.3 earn less than the span of two costs; forty before a span of one share the 1 that it costs.
    rows = batch([1, 0, 0], [3, 5, 42], [None, span(2, 4), span(40, 41)], 3)
    even_BT = assign_credit("even", rows, Weights(), [None] * 3)
    np.testing.assert_allclose(even_BT[1, :6], [0.3, 0.3, -1, -1, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(even_BT[2], [*[0.025] * 40, -1, 0], rtol=1e-6)
    np.testing.assert_allclose(even_BT[0], assign_credit("prefix", rows, Weights(), [None] * 3)[0], rtol=1e-6)


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 40), st.integers(0, 40)), min_size=2, max_size=6), st.floats(0, 5)
)
def test_even_never_pays_a_wrong_answer(shapes, prefix_reward):
    spans = [span(before, before + blamed) for before, blamed, _ in shapes]
    rows = batch([0] * len(shapes), [sum(shape) for shape in shapes], spans, len(shapes))
    even_BT = assign_credit("even", rows, Weights(prefix_reward=prefix_reward), [None] * len(shapes))
    assert (even_BT.sum(axis=1, dtype=np.float64) <= 1e-4).all()
    assert all(math.fsum(row_T) <= 0 for row_T in even_BT.tolist())  # nor by a rounding


def test_tunix_and_we_agree_on_group_relative_advantages():
    from tunix.rl.algo_core import compute_advantages

    rewards_B = np.random.default_rng(1).integers(0, 2, 64).astype(np.float32)
    ours_B = group_relative(rewards_B, 8)
    np.testing.assert_allclose(ours_B, compute_advantages(rewards_B, 8), atol=1e-5)


def test_what_a_formula_needs_and_is_not_given_is_named():
    with pytest.raises(ValueError, match="needs the sampler's log-probs"):
        assign_credit("probability_mask", PAIR, Weights(), [None, None])


@pytest.mark.parametrize("ends", [[[1, 2], [5]], [[3], [3, 3, 5]], [[0, 3], [5]]])
def test_steps_that_do_not_rise_to_the_end_are_refused(ends):
    with pytest.raises(ValueError, match="do not rise"):
        steps_and_logprobs(PAIR, ends)


def test_fallbacks_act_on_wrong_rows_without_a_span_only():
    missed = batch([1, 0, 0, 0], [2, 2, 2, 2], [None, None, None, span(0, 1)], 4)
    advantages_BT = assign_credit("sparse", missed, Weights(), ["grpo", "grpo", "drop", "grpo"])
    plain_B = group_relative(missed.rewards_B, 4)
    np.testing.assert_allclose(advantages_BT, [[0, 0], [plain_B[1]] * 2, [0, 0], [-1, 0]], rtol=1e-6)


def test_blame_that_was_lost_is_an_error():
    with pytest.raises(ValueError, match="neither a span nor a fallback"):
        assign_credit("balanced", batch([1, 0], [2, 2], [None, None], 2), Weights(), [None, None])


def test_sparse_rewards_of_spans_misses_and_none():
    rewards_BT = construct_sparse_rewards([span(0, 4), Miss("not_found"), None], [6, 2, 3], negative_reward=-2.0)
    np.testing.assert_array_equal(rewards_BT, [[-0.5] * 4 + [0, 0], [0] * 6, [0] * 6])
    assert rewards_BT.dtype == np.float32
    assert construct_sparse_rewards([], []).shape == (0, 0)


@pytest.mark.parametrize(
    ("spans", "lengths", "reward", "message"),
    [
        ([span(0, 3)], [2], -1.0, "does not lie in its 2 tokens"),
        ([(0, 1)], [2], -1.0, "expected a TokenSpan, a Miss or None"),
        ([None], [1, 2], -1.0, "1 spans for 2 lengths"),
        ([None], [1], 0.5, "below 0"),
    ],
)
def test_sparse_rewards_refuse_bad_input(spans, lengths, reward, message):
    with pytest.raises(ValueError, match=message):
        construct_sparse_rewards(spans, lengths, reward)


def test_unknown_formula_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'balanced'"):
        formula("balnced")


@pytest.mark.parametrize(
    "bad", [{"negative_reward": 0.1}, {"prefix_reward": -0.1}, {"prefix_share": 1.5}, {"mask_probability": -0.1}]
)
def test_weights_of_the_wrong_sign_are_refused(bad):
    with pytest.raises(UsageError, match="expected a number"):
        Weights(**bad)


@pytest.mark.parametrize(
    ("rewards", "lengths", "spans", "group"),
    [([1, 0, 1], [1, 1, 1], [None] * 3, 2), ([1, 0], [1], [None] * 2, 2), ([1, 0], [1, 1], [None, span(0, 2)], 2)],
)
def test_batches_that_do_not_fit_are_refused(rewards, lengths, spans, group):
    with pytest.raises(ValueError, match=r"rows|span"):
        batch(rewards, lengths, spans, group)


@st.composite
def batches(draw):
    group_size = draw(st.integers(2, 4))
    rows = group_size * draw(st.integers(1, 3))
    rewards = draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
    lengths = draw(st.lists(st.integers(1, 12), min_size=rows, max_size=rows))
    spans = []
    for reward, length in zip(rewards, lengths, strict=True):
        start = draw(st.integers(0, length - 1))
        spans.append(None if reward or draw(st.booleans()) else span(start, draw(st.integers(start + 1, length))))
    return batch(rewards, lengths, spans, group_size)


@given(batches(), st.sampled_from(sorted(FORMULAS)))
def test_every_formula_is_finite_float32_and_silent_behind_the_completion(b, name):
    b = steps_and_logprobs(b, [[length] for length in b.lengths_B], [[0.5] * length for length in b.lengths_B])
    advantages_BT = assign_credit(name, b, Weights(), ["drop"] * len(b.spans))
    assert advantages_BT.shape == (len(b.spans), b.width)
    assert advantages_BT.dtype == np.float32
    assert np.isfinite(advantages_BT).all()
    for row, length in enumerate(b.lengths_B):
        assert not advantages_BT[row, length:].any()


@given(batches())
def test_no_formula_rewards_a_blamed_token(b):
    for name in ("sparse", "balanced", "prefix", "prefix_shortened"):
        advantages_BT = assign_credit(name, b, Weights(), ["drop"] * len(b.spans))
        for row, s in enumerate(b.spans):
            if s is not None:
                assert (advantages_BT[row, s.start : s.end] < 0).all()


def test_a_function_of_ones_own_is_a_formula():
    @declares(needs_oracle=False)
    def mine(batch, weights):
        return [[0.5] * batch.width] * len(batch.spans)

    assert (formula(mine).name, formula(mine).needs_oracle, formula(mine).reads_logprobs) == ("mine", False, False)
    np.testing.assert_array_equal(assign_credit(mine, PAIR, Weights(), [None] * 2), [[0.5, 0.5, 0.5, 0, 0], [0.5] * 5])
    assert formula(lambda batch, weights: None).needs_oracle


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda batch, weights: None, "gave"),
        (lambda batch, weights: "text", "gave str; expected an array of numbers"),
        (lambda batch, weights: np.zeros((2, 4)), r"shape \(2, 4\); expected \(2, 5\)"),
        (lambda batch, weights: np.full((2, 5), np.nan), "not finite in row 0"),
    ],
)
def test_what_a_formula_of_ones_own_gives_is_checked(given, message):
    with pytest.raises(UsageError, match=message):
        assign_credit(given, PAIR, Weights(), [None] * 2)


@pytest.mark.parametrize("bad", [lambda batch: None, 3, Weights, None])
def test_what_is_no_formula_is_refused(bad):
    with pytest.raises(UsageError, match="expected a function"):
        formula(bad)


def test_an_answer_that_did_worse_than_its_group_is_not_lifted():
    # Both are right, with rewards 1 and 0.2 of the user's own: A = +-0.70711.
    worse = Batch(np.array([1, 0.2], np.float32), np.array([True, True]), np.array([2, 2]), [None, None], 2)
    for name in ("prefix", "prefix_shortened"):
        np.testing.assert_allclose(assign_credit(name, worse, Weights(), [None] * 2), [[A, A], [-A, -A]], atol=1e-5)


def test_what_a_config_may_say_of_a_row_without_a_span():
    check_on_trouble(on_miss="mean", on_failure="raise", on_truncated="drop")
    with pytest.raises(UsageError, match="on_failure is 'ignore'; expected one of mean, drop, grpo, raise"):
        check_on_trouble(on_miss="grpo", on_failure="ignore")
