"""The second part: its judge, its rows, its worlds and its tables."""

import asyncio
import dataclasses
import random

import jax
import numpy as np
import pytest

from cal_grpo.errors import UsageError
from cal_grpo.oracles import Query, Tag, corrected
from cal_grpo.tasks import Example
from study.second import report, tables
from study.second.arm import Arm, Judge, Trial
from study.second.judge import TruthfulJudge
from study.second.plan import load_plan, train_one
from study.second.stored import Results
from study.second.wordy import slipped
from study.second.worlds import terse
from study.simulator import Learner, LossSettings, Rollouts, Rows, pad_prompts
from study.simulator.forward import completion_logits
from study.trial import OPTIMIZER
from study.world import World

TRUTH = "81-15=66\n66-3=63\n63+8=71\n#### 71"
WRONG = "81-15=66\n66-3=64\n64+8=72\n#### 72"


def verdict_of(judge, response, seed=0):
    return asyncio.run(TruthfulJudge({"q": TRUTH}, judge, seed).locate(Query("q", "", response)))


def test_a_judge_without_errors_names_the_first_wrong_line_and_writes_the_rest():
    verdict = verdict_of(Judge(), WRONG)
    assert corrected(WRONG, verdict) == (len("81-15=66\n"), "66-3=63\n63+8=71\n#### 71")


def test_an_answer_of_another_form_gets_no_correction():
    assert verdict_of(Judge(), "First she has 66.\n66-3=64\n#### 64").correction == ""


@pytest.mark.parametrize("seed", range(5))
def test_a_silent_judge_names_nothing_and_a_misplacing_one_another_line(seed):
    assert verdict_of(Judge(silent=1.0), WRONG, seed).tag is Tag.ABSTAINED
    cut, _ = corrected(WRONG, dataclasses.replace(verdict_of(Judge(misplaced=1.0), WRONG, seed), correction="."))
    assert WRONG[:cut] in {"", "81-15=66\n66-3=64\n", "81-15=66\n66-3=64\n64+8=72\n"}


def test_a_slip_is_one_wrong_result_that_is_carried_on_or_not():
    seen = set()
    for seed in range(40):
        lines = slipped(TRUTH.split("\n"), random.Random(seed))
        wrong = [i for i, (ours, theirs) in enumerate(zip(lines, TRUTH.split("\n"), strict=True)) if ours != theirs]
        seen.add(lines[-1] == "#### 71")
        assert wrong == list(range(wrong[0], 4)) or wrong == wrong[:1]
    assert seen == {True, False}


def test_a_terse_reference_skips_steps_and_ends_with_the_answer():
    reference = "\n".join(f"{i}+1={i + 1}" for i in range(7)) + "\n#### 7"
    assert terse(Example("q", "7", reference)) == "after 3 changes there are 3, after 6 changes there are 6\n#### 7"


@pytest.fixture
def world(toy_folder):
    return World(str(toy_folder), steps=1, group_size=1, held_out=4)


def test_rows_add_the_log_probs_of_their_ids_over_the_count_of_sampled_tokens(world):
    rng = np.random.default_rng(0)
    prompts = pad_prompts([rng.integers(5, 200, n).tolist() for n in (6, 9, 7)], 9, pad_id=0)
    ids_BT = rng.integers(5, 200, (3, 12)).astype(np.int32)
    lengths_B = np.array([12, 3, 8])
    rollouts = Rollouts(ids_BT, lengths_B, np.zeros(ids_BT.shape), np.zeros(3, bool))
    weights_BT = np.zeros(ids_BT.shape, np.float32)
    weights_BT[0, 4:9], weights_BT[2, 1:3] = 1.0, 2.0
    rows = Rows(prompts, ids_BT[::-1].copy(), weights_BT)
    logits_of = jax.jit(completion_logits, static_argnums=1)
    logits_BTV = logits_of(world.params, world.shape, *map(np.asarray, (prompts.ids_QP, prompts.mask_QP, rows.ids_BT)))
    logps_BT = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits_BTV)), rows.ids_BT[..., None], axis=-1)[..., 0]
    learner = Learner(world.params, world.shape, OPTIMIZER, LossSettings(), 1e-3)
    numbers = learner.update(prompts, rollouts, np.zeros(ids_BT.shape, np.float32), False, rows)
    assert numbers["rows_loss"] == pytest.approx(-(weights_BT * logps_BT).sum() / lengths_B.sum(), rel=1e-4)
    alone = Learner(world.params, world.shape, OPTIMIZER, LossSettings(), 1e-3).learn(rows)
    assert alone["rows_loss"] == pytest.approx(-(weights_BT * logps_BT).sum() / weights_BT.sum(), rel=1e-4)


def test_an_update_is_the_same_whatever_its_layout(world):
    # Three questions with two answers each, and the same as six questions with one answer each.
    rng = np.random.default_rng(1)
    questions = [rng.integers(5, 200, n).tolist() for n in (6, 9, 7)]
    ids_BT = rng.integers(5, 200, (6, 16)).astype(np.int32)
    rollouts = Rollouts(ids_BT, np.full(6, 16), np.zeros(ids_BT.shape), np.zeros(6, bool))
    advantages_BT = rng.normal(size=ids_BT.shape).astype(np.float32)
    moved = []
    for prompts in (questions, [q for q in questions for _ in range(2)]):
        learner = Learner(world.params, world.shape, OPTIMIZER, LossSettings(), 1e-3)
        learner.update(pad_prompts(prompts, 9, pad_id=0), rollouts, advantages_BT)
        moved.append(learner.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *moved)


def test_passes_go_through_the_pool_in_an_order_of_their_own(world):
    batches = world.passes(seed=3, batch_size=4, pool=8)
    taken = [[q.example.question for q in next(batches)] for _ in range(4)]
    pool = {q.example.question for q in world.first_training(3, 8)}
    assert {*taken[0], *taken[1]} == {*taken[2], *taken[3]} == pool
    assert taken[:2] != taken[2:]


PLAN = """
held_out: 4
first: 8
defaults: {steps: 1, learning_rate: 1.0e-3, updates: 2, evaluate_every: 1, samples: 2, pool: 4, policy: POLICY}
trials:
  - seed: [0, 1]
    arm: {credit: none, questions: 4, answers: 1, baseline: batch, rows: reference}
  - seed: 0
    world: answers
    judge: {silent: 0.5, slips: 0.5}
    arm: {credit: even, questions: 4, answers: 1, baseline: batch, rows: rest}
  - {seed: 0, arm: {credit: none, questions: 4, answers: 1, baseline: batch, resets: 2}}
"""


def test_a_plans_trials_are_trained_stored_and_told(toy_folder, tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(PLAN.replace("POLICY", str(toy_folder)))
    plan, results = load_plan(file), Results(tmp_path / "out", "small")
    assert len(plan.trials) == 4
    for trial in plan.trials:
        results.append(trial, train_one(plan, trial))
    again = Results(tmp_path / "out", "small")
    assert list(again.done) == plan.trials
    rows = again.done[plan.trials[0]]
    assert [row["update"] for row in rows] == [0, 1, 2]
    assert rows[-1]["tokens"] == 0 < rows[-1]["trained_tokens"]
    assert len(rows[-1]["right_of_k"]) == len(rows[-1]["held_out"]) == 4
    found = tables.gathered(again.done)
    assert [len(one.rows) for one in found] == [2, 1, 1]
    assert "`even 4 × 1 + rest`" in tables.curves_table(found, 0.5)
    last = again.done[plan.trials[3]][-1]
    assert last["endings"] <= 2 * last["judged"]  # an answer that a silent verdict leaves alone has none
    assert last["tokens"] >= last["endings"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trials: []", "expected the keys held_out, first and trials"),
        (PLAN.replace("rows: rest", "rows: all"), r"arm.rows is 'all'"),
        ("held_out: [", "cannot be read"),
    ],
)
def test_a_plan_that_is_none_is_one_line(tmp_path, text, message):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_plan(tmp_path / "plan.yaml")


def trained(curve_by_seed, rate=1e-4):
    def row(update, right):
        return {"update": update, "held_out": np.arange(10) < right, "right_of_k": np.full(10, 1)}

    rows = {seed: [row(5 * i, right) for i, right in enumerate(curve)] for seed, curve in curve_by_seed.items()}
    return tables.Trained(Trial(Arm("grpo"), 8, rate, 0, samples=4), rows)


def test_a_target_is_held_at_two_evaluations_in_a_row():
    base = trained({0: [1, 2, 3, 2], 1: [1, 2, 5, 2]})
    assert tables.target([base]) == pytest.approx(0.4)  # the mean curve is .1 .2 .4 .2
    assert tables.target([trained({0: [4, 4]})]) == pytest.approx(0.5)
    assert tables.reaches(trained({0: [1, 4, 3, 4, 5]}), 0.4) == 15
    assert tables.reaches(trained({0: [1, 2, 3, 4]}), 0.4) is None


def test_differences_are_paired_by_seed():
    # +.2, +.3 and +.4: mean .3, standard error .1 / sqrt(3); t(2) at 97.5 % is 4.303.
    one, other = trained({0: [1, 4], 1: [1, 5], 2: [1, 6], 7: [1, 9]}), trained({0: [1, 2], 1: [1, 2], 2: [1, 2]})
    greedy, p, sampled, _ = tables.differences(one, other)
    assert greedy.value == pytest.approx(0.3)
    assert greedy.high - greedy.low == pytest.approx(2 * 4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert p == pytest.approx(0.0351, abs=1e-3)
    assert sampled.value == 0


def test_holm_adjusts_from_the_smallest_on():
    assert tables.holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])
    assert tables.holm([0.03, 0.02]) == pytest.approx([0.04, 0.04])


def test_arms_are_compared_at_the_tokens_that_the_thriftiest_spent():
    def spent(curve, trained_tokens, written, arm):
        rows = trained({0: curve}).rows[0]
        for row in rows[1:]:
            row |= {"trained_tokens": trained_tokens, "judge_tokens": written}
        return tables.Trained(Trial(arm, 8, 1e-4, 0), {0: rows})

    dear, thrifty = spent([1, 5, 9], 1500.0, 500.0, Arm("even")), spent([1, 2, 3], 1000.0, 0.0, Arm("grpo"))
    body = tables.equal_table([dear, thrifty]).splitlines()[2:]
    assert body == ["| `even 8 × 8` | 0.0001 | 1 | 5 | 2 | 0.500 |", "| `grpo 8 × 8` | 0.0001 | 1 | 10 | 2 | 0.300 |"]


def done(arm, curve_by_seed, **settings):
    """What a plan's results have of an arm."""
    rows = trained(curve_by_seed).rows
    spent = {"tokens": 3000.0, "trained_tokens": 1000.0, "judge_tokens": 0.0}
    rows = {seed: [row | spent for row in of] for seed, of in rows.items()}
    return {Trial(arm, 8, 2e-4, seed, **settings): of for seed, of in rows.items()}


GRPO, PREFIX, OURS = Arm("grpo"), Arm("prefix", 64, 1, "batch"), report.PRIMARY


def test_a_report_has_a_section_a_world_and_screening_by_itself():
    stages = {
        report.SCREENING: done(GRPO, {10: [1, 9]}),
        "2-a": done(GRPO, {20: [1, 2], 21: [1, 2]}) | done(OURS, {20: [1, 5], 21: [1, 7]}),
        "3-b": done(PREFIX, {20: [1, 4], 21: [1, 4]}) | done(PREFIX, {20: [1, 3]}, world="terse"),
        "4-c": done(Arm("grpo", 64, 1, "batch", sft_updates=5), {20: [1, 9], 21: [1, 9]}),
    }
    told = report.report(stages)
    assert [line for line in told.splitlines() if line.startswith("## ")] == [
        "## Screening: ledger, 8 steps", "## ledger, 8 steps", "## terse, 8 steps"
    ]  # fmt: skip
    ledger, terse = told.split("\n## ")[1:]
    assert "Target 0.200." in ledger  # of GRPO from the policy itself: the start is .1, and .2 its best
    # +.3 and +.5 over two seeds; two p-values of the same size would be doubled, and the sampled one is none
    assert "| `prefix 64 × 1 + rest` | 0.0002 | 2 | +40.0 [-87.1, +167.1] |" in ledger
    assert "greedy − `prefix 64 × 1 + rest`" in ledger
    assert "`grpo 8 × 8` | 0.0002 | 2" in terse  # it reads no references: the same trainings
    assert list(report.figures(stages)) == ["second-ledger-8-steps", "second-terse-8-steps"]


def test_of_an_arm_that_ran_twice_the_one_with_most_seeds_is_shown():
    stages = {
        "2-a": done(GRPO, {20: [1, 2], 21: [1, 2]}),
        "3-b": done(GRPO, {20: [1, 3, 2], 21: [1, 3, 2], 22: [1, 3, 2]}, evaluate_every=5),
        "4-c": done(GRPO, {20: [1, 2]}, updates=5),
    }
    found = report.sections(stages)["ledger, 8 steps"]
    assert [(one.label, len(one.rows)) for one in found] == [("`grpo 8 × 8`", 3), ("`grpo 8 × 8`, 5 updates", 1)]


def test_seeds_are_told_one_by_one():
    body = tables.seeds_table([trained({1: [3, 2, 9], 0: [3, 4, 5]})]).splitlines()[2:]
    assert body == ["| `grpo 8 × 8` | 0.0001 | 0.500, 0.900 | 1 of 2 | 0.200 |"]
