"""The trainer in a user's own script: TRL's arguments, and the oracle."""

import inspect
import sys

import numpy as np
import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")
import torch
from trl import GRPOConfig, GRPOTrainer

from cal_grpo.credit import Weights, formula
from cal_grpo.engines.trl import CALGRPOConfig, CALGRPOTrainer
from cal_grpo.engines.trl import guard as guards
from cal_grpo.errors import UsageError
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import CALOracle
from cal_grpo.pipeline import CreditPipeline


class Kept(CALGRPOTrainer):
    """Keeps what reaches each loss."""

    def __init__(self, *args, **kwargs):
        self.seen, self.parts = [], []
        super().__init__(*args, on_credit=lambda step, credited: self.parts.append((step, credited)), **kwargs)

    def _compute_loss(self, model, inputs):
        self.seen.append({name: x.clone() if torch.is_tensor(x) else x for name, x in inputs.items()})
        return super()._compute_loss(model, inputs)


def by_ids(seen):
    """Each row's advantages that reached a loss, by its ids."""
    rows = {}
    for inputs in seen:
        for ids, mask, advantages in zip(
            inputs["completion_ids"], inputs["completion_mask"], inputs["advantages"], strict=True
        ):
            length = int(mask.sum())
            rows[tuple(ids[:length].tolist())] = advantages[:length].tolist()
    return rows


def test_jax_and_tunix_are_not_imported():
    assert not {"jax", "tunix", "flax"} & set(sys.modules)


def test_every_token_has_its_own_advantage_and_the_end_token_its_last_ones(make, oracle):
    trainer = make(Kept, CALGRPOConfig, oracle=oracle, gradient_accumulation_steps=2, per_device_train_batch_size=4)
    trainer.train()
    assert [step for step, _ in trainer.parts] == [0, 0, 1, 1]
    rows = by_ids(trainer.seen)
    ends, differ = set(trainer.eos_token_ids), 0
    for _, credited in trainer.parts:
        for row, judged in enumerate(credited.judged):
            own = list(judged.completion.token_ids)
            advantages = credited.advantages_BT[row]
            if judged.completion.end_token:
                found = [ids for ids in rows if list(ids[:-1]) == own and ids[-1] in ends]
                assert advantages[len(own)] == pytest.approx(advantages[max(len(own) - 1, 0)])
            else:
                assert judged.completion.truncated
                found = [tuple(own)]
            # Two answers may differ in the token that ended them alone, which is not kept.
            (ids, *_) = [ids for ids in found if np.allclose(rows[ids], advantages[: len(ids)], rtol=1e-6)]
            differ += len(set(np.round(rows[ids], 5))) > 1
    assert differ > 0
    assert len(oracle.asked) == sum(c.metrics["asked"] for _, c in trainer.parts) > 0
    assert {j.completion.truncated for _, c in trainer.parts for j in c.judged} == {True, False}


def test_what_is_logged_of_advantages_stays_a_number_an_answer(make, oracle):
    trainer = make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, max_steps=1)
    trainer.train()
    assert all(isinstance(value, float) for value in trainer._logs["advantages"])
    (row,) = [row for row in trainer.state.log_history if "loss" in row]
    assert row["cal/asked"] == len(oracle.asked)
    assert row["rewards/correct/mean"] == row["reward"]


def test_without_credit_it_is_trls_own_trainer_bit_for_bit(make):
    def right(completions, answer, **_):
        pairs = [(c[0]["content"], a) for c, a in zip(completions, answer, strict=True)]
        return [float(grade_answer(text, a).correct) + 0.01 * len(text) for text, a in pairs]

    made = {}
    for trainer, config, more in (
        (GRPOTrainer, GRPOConfig, {"loss_type": "bnpo"}),
        (CALGRPOTrainer, CALGRPOConfig, {"use_cal": False, "credit": "sparse", "on_miss": "drop"}),
    ):
        one = make(trainer, config, reward_funcs=right, max_steps=3, beta=0.1, num_iterations=2, **more)
        one.train()
        made[trainer] = one
    mine, theirs = made[CALGRPOTrainer], made[GRPOTrainer]
    for (name, a), (_, b) in zip(mine.model.named_parameters(), theirs.model.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    losses = [[row.get("loss") for row in one.state.log_history] for one in (mine, theirs)]
    assert losses[0] == losses[1]
    assert any(losses[0])


def test_answers_that_trl_masks_as_cut_off_are_those_that_are_not_asked_about(make, oracle):
    trainer = make(Kept, CALGRPOConfig, oracle=oracle, max_steps=1, mask_truncated_completions=True)
    trainer.train()
    judged = [j for _, c in trainer.parts for j in c.judged]
    cut = sum(j.completion.truncated for j in judged)
    assert 0 < cut < len(judged)
    (inputs,) = trainer.seen
    assert int((inputs["completion_mask"].sum(1) == 0).sum()) == cut
    assert all(j.verdict is None for j in judged if j.completion.truncated)
    assert float(inputs["advantages"][inputs["completion_mask"].sum(1) == 0].abs().sum()) == 0


def test_the_end_token_is_left_out_on_request(make, oracle):
    trainer = make(Kept, CALGRPOConfig, oracle=oracle, max_steps=1, train_end_token=False)
    trainer.train()
    ends = set(trainer.eos_token_ids)
    ended = {ids: row for ids, row in by_ids(trainer.seen).items() if ids[-1] in ends}
    assert ended
    assert all(row[-1] == 0 for row in ended.values())


def test_a_formula_that_reads_log_probs_gets_those_of_the_policy_that_sampled(make, oracle):
    trainer = make(Kept, CALGRPOConfig, oracle=oracle, max_steps=1, credit="probability_mask", num_iterations=1)
    trainer.train()
    ((_, credited),) = trainer.parts
    (inputs,) = trainer.seen
    assert credited.batch.logprobs is not None
    assert all((logprobs <= 0).all() for logprobs in credited.batch.logprobs)
    assert (inputs["advantages"].shape) == (inputs["completion_mask"].shape)
    with pytest.raises(UsageError, match="at temperature 1"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, credit="probability_mask", temperature=0.7)


def test_with_the_update_as_baseline_an_answer_is_compared_with_all_of_it(make, oracle):
    def vowels(completions, **columns):
        return [sum(message[0]["content"].count(vowel) for vowel in "aeiou") / 4 for message in completions]

    trainer = make(
        Kept, CALGRPOConfig, oracle=oracle, max_steps=1, credit="grpo", baseline="batch", reward_funcs=vowels,
        gradient_accumulation_steps=2, per_device_train_batch_size=4,
    )  # fmt: skip
    trainer.train()
    assert len(trainer.parts) == 2
    rewards_B = np.array([j.completion.reward for _, c in trainer.parts for j in c.judged])
    assert len(set(rewards_B)) > 1
    expected_B = (rewards_B - rewards_B.mean()) / (rewards_B.std(ddof=1) + 1e-6)
    rows = [row_T for _, c in trainer.parts for row_T in c.advantages_BT]
    np.testing.assert_allclose([row_T[0] for row_T in rows], expected_B, rtol=1e-4)
    reached = [row_T[0] for row_T in by_ids(trainer.seen).values()]
    np.testing.assert_allclose(sorted(set(np.round(reached, 3))), sorted(set(np.round(expected_B, 3))), atol=2e-3)


ONE_EACH = {"num_generations": 1, "baseline": "batch", "max_steps": 1}


@pytest.mark.parametrize(("rows", "passes"), [(4, 1), (2, 2), (1, 4)])
def test_one_answer_a_question_is_compared_with_all_of_the_update(make, oracle, rows, passes):
    """One right of four: mean 1/4, sample variance (9/16 + 3/16) / 3 = 1/4, so A = 1.5 and -0.5."""

    def third(completions, **columns):
        return [float(i == 2) for i in range(len(completions))]

    trainer = make(
        Kept, CALGRPOConfig, oracle=oracle, credit="grpo", reward_funcs=third, per_device_train_batch_size=rows,
        gradient_accumulation_steps=passes, **ONE_EACH,
    )  # fmt: skip
    assert (trainer.args.num_generations, trainer.num_generations, trainer.num_generations_eval) == (1, 1, 1)
    trainer.train()
    assert len(trainer.parts) == len(trainer.seen) == passes
    judged = [j for _, credited in trainer.parts for j in credited.judged]
    assert len({j.completion.question for j in judged}) == 4
    reached = by_ids(trainer.seen)
    for j, expected in zip(judged, [-0.5, -0.5, 1.5, -0.5], strict=True):
        own = tuple(j.completion.token_ids)
        (row_T,) = [row_T for ids, row_T in reached.items() if own in (ids, ids[:-1])]
        np.testing.assert_allclose(row_T, expected, rtol=1e-5)
    (row,) = [row for row in trainer.state.log_history if "loss" in row]
    assert all(np.isfinite(value) for value in row.values())
    assert (row["reward"], row["reward_std"], row["rewards/third/std"]) == pytest.approx((0.25, 0.5, 0.5))


def test_one_answer_a_question_gets_what_the_pipeline_gives_for_the_whole_update(make, oracle):
    trainer = make(
        Kept, CALGRPOConfig, oracle=oracle, per_device_train_batch_size=2, gradient_accumulation_steps=2, on_truncated="grpo",
        max_completion_length=24, **ONE_EACH,
    )  # fmt: skip
    trainer.train()
    answers = [j.completion for _, credited in trainer.parts for j in credited.judged]
    with CALOracle(oracle) as asked:
        alone = CreditPipeline(
            asked, trainer._pipeline.aligner, formula("prefix"), Weights(), 1, on_truncated="grpo", baseline="batch"
        )
        whole = alone.redeem(alone.submit(answers))
    assert len(answers) == 4
    assert whole.metrics["found"] > 0
    rows = [row_T for _, credited in trainer.parts for row_T in credited.advantages_BT]
    for row_T, expected_T in zip(rows, whole.advantages_BT, strict=True):
        width = min(len(row_T), len(expected_T))
        np.testing.assert_allclose(row_T[:width], expected_T[:width], rtol=1e-6)
        assert not row_T[width:].any()
        assert not expected_T[width:].any()


def test_one_answer_a_question_is_evaluated_and_trls_own_checks_stay(make, oracle, questions, tmp_path):
    each = ONE_EACH | {
        "per_device_train_batch_size": 3,
        "per_device_eval_batch_size": 3,
        "eval_strategy": "steps",
        "eval_steps": 1,
    }
    trainer = make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, eval_dataset=questions.select(range(3)), **each)
    trainer.train()
    (row,) = [row for row in trainer.state.log_history if "eval_reward" in row]
    assert np.isfinite(row["eval_reward"])
    with pytest.raises(ValueError, match="auto_find_batch_size is not supported"):
        CALGRPOConfig(str(tmp_path), num_generations=1, baseline="batch", auto_find_batch_size=True, bf16=False)
    with pytest.raises(ValueError, match="must be divisible by the global batch size"):
        CALGRPOConfig(str(tmp_path), num_generations=1, baseline="batch", generation_batch_size=7, bf16=False)


def test_rows_are_updated_on_as_often_as_iterations_say(make, oracle):
    trainer = make(Kept, CALGRPOConfig, oracle=oracle, max_steps=4, num_iterations=2, credit="prefix")
    trainer.train()
    assert trainer._guard.updated == 2 * trainer._guard.credited == 4 * 8
    assert len(oracle.asked) <= 2 * 8


@pytest.mark.parametrize("loss_type", ["grpo", "dapo", "dr_grpo", "cispo", "sapo", "luspo"])
def test_every_other_loss_takes_an_advantage_a_token(make, oracle, loss_type):
    trainer = make(Kept, CALGRPOConfig, oracle=oracle, max_steps=1, loss_type=loss_type)
    trainer.train()
    assert all(np.isfinite(row["loss"]) for row in trainer.state.log_history if "loss" in row)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_type": "vespo"}, "loss_type is 'vespo'"),
        ({"importance_sampling_level": "sequence"}, "importance_sampling_level is 'sequence'"),
        ({"off_policy_mask_threshold": 0.5}, "off_policy_mask_threshold is 0.5"),
        ({"scale_rewards": "none"}, "scale_rewards is 'none'"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, "multi_objective_aggregation"),
        ({"num_generations": 1}, "a group of one has no baseline; set baseline=batch or num_generations to 2 or more"),
        ({"num_generations": 1, "use_cal": False}, "use_cal is false with baseline=group and num_generations=1"),
        ({"num_generations": 0, "baseline": "batch"}, "num_generations is 0; expected 1 or more"),
        ({"num_generations": None}, "num_generations is 0; expected 1 or more"),
        (
            {"num_generations": 1, "baseline": "batch", "per_device_train_batch_size": 1},
            "baseline is batch and an update has 1 answer",
        ),
        ({"baseline": "all"}, "baseline is 'all'; expected one of group, batch"),
        ({"baseline": "batch", "use_cal": False}, "use_cal is false with baseline=batch"),
        ({"credit": "prefx"}, "prefx"),
        ({"on_miss": "ignore"}, "on_miss is 'ignore'"),
        ({"negative_reward": 1.0}, "negative_reward"),
        ({"oracle": None}, "needs an oracle"),
        ({"tools": [print]}, "tools is set"),
    ],
)
def test_what_assumes_one_advantage_a_row_or_cannot_be_credited_is_one_line(make, oracle, changes, message):
    with pytest.raises(UsageError, match=message) as error:
        make(CALGRPOTrainer, CALGRPOConfig, **({"oracle": oracle} | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("column", ["prompt", "answer", "reference"])
def test_a_column_that_is_missing_is_one_line(make, oracle, questions, column):
    with pytest.raises(UsageError, match=f"no column {column!r}"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, train_dataset=questions.remove_columns(column))


def test_images_and_another_config_are_one_line(make, oracle, questions):
    with pytest.raises(UsageError, match="column 'image'"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, train_dataset=questions.add_column("image", [None] * len(questions)))
    with pytest.raises(UsageError, match="expected a CALGRPOConfig"):
        make(CALGRPOTrainer, GRPOConfig, oracle=oracle)


def test_a_reward_that_is_no_number_stops_the_training(make, oracle):
    trainer = make(
        CALGRPOTrainer, CALGRPOConfig, oracle=oracle, reward_funcs=lambda completions, **_: [None] * len(completions)
    )
    with pytest.raises(UsageError, match="no reward function gave a number for 8 of 8 answers"):
        trainer.train()


def test_a_reward_of_ones_own_replaces_grading_and_text_prompts_do(make, oracle, questions):
    asked = []
    texts = questions.map(lambda row: {"prompt": row["prompt"][0]["content"]})

    def longer(completions, answer, **_):
        asked.extend(answer)
        return [float(len(text)) for text in completions]

    trainer = make(Kept, CALGRPOConfig, oracle=oracle, reward_funcs=[longer], train_dataset=texts, max_steps=1)
    trainer.train()
    ((_, credited),) = trainer.parts
    assert len(asked) == 8
    assert credited.batch.rewards_B.max() > 1
    assert {j.completion.question for j in credited.judged} <= set(texts["prompt"])


@pytest.mark.parametrize("name", guards.HOOKS)
def test_a_hook_that_is_missing_stops_the_trainer_before_anything_is_loaded(make, oracle, monkeypatch, name):
    monkeypatch.delattr(GRPOTrainer, name)
    with pytest.raises(UsageError, match=f"has no {name}, through which credit is given; install trl==1.16.0"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle)


def test_a_hook_with_other_parameters_stops_it_too(make, oracle, monkeypatch):
    monkeypatch.setattr(GRPOTrainer, "_calculate_rewards", lambda self, inputs, prompts, completions: None)
    with pytest.raises(UsageError, match="a _calculate_rewards without 'completion_ids_list'"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle)


def test_advantages_that_are_not_a_tokens_never_reach_a_loss(make, oracle, monkeypatch):
    trainer = make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle)
    monkeypatch.setattr(trainer, "_on_grid", lambda advantages_BT, mask_BT: torch.zeros(len(mask_BT)))
    with pytest.raises(UsageError, match="the credit did not reach it"):
        trainer.train()


def test_rows_that_are_credited_and_not_updated_on_are_seen():
    guard = guards.UpdateGuard(repeats=1)
    guard.credit(4)
    with pytest.raises(UsageError, match="4 rows were credited and 0 updated on"):
        guard.credit(4)
    with pytest.raises(UsageError, match="0 updated on"):
        guard.end()


def test_the_trainer_is_short_and_copies_no_loop():
    source = inspect.getsource(sys.modules[CALGRPOTrainer.__module__])
    assert len(source.splitlines()) <= 250
    overridden = {name for name in vars(CALGRPOTrainer) if name in vars(GRPOTrainer) and not name.startswith("__")}
    assert overridden <= set(guards.HOOKS)


def test_sparse_credit_without_a_kl_term_is_warned_of(make, oracle):
    with pytest.warns(UserWarning, match="only pushes down"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, credit="sparse")
