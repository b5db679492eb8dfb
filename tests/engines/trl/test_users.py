"""What a TRL user brings along: datasets of every kind, rewards, odd layouts, adapters, callbacks."""

import numpy as np
import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")
import torch
from datasets import Dataset, DatasetDict, IterableDataset
from peft import LoraConfig
from transformers import TrainerCallback

from cal_grpo.engines.trl import CALGRPOConfig, CALGRPOTrainer
from cal_grpo.engines.trl.dataset import example_of
from cal_grpo.errors import UsageError
from cal_grpo.tasks import Example

ROW = {"prompt": [{"role": "user", "content": "How many?"}], "answer": "3", "reference": "#### 3"}


def length(completions, **columns):
    return [float(len(message[0]["content"])) for message in completions]


def made(trainer):
    """The updates that were made, each of them on finite numbers and credit."""
    trainer.train()
    rows = [row for row in trainer.state.log_history if "loss" in row]
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert all(bool(torch.isfinite(p).all()) for p in trainer.model.parameters())
    return len(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": None}, "answer is None; expected text"),
        ({"answer": 3}, "answer is 3; expected text"),
        ({"answer": " "}, "answer is ' '; expected what a right answer ends in"),
        ({"reference": None}, "reference is None; expected text"),
        ({"prompt": []}, r"prompt is \[\]; expected text, or messages"),
        ({"prompt": ""}, "prompt is ''; expected text, or messages"),
        ({"prompt": None}, "prompt is None"),
        (
            {"prompt": [{"role": "system", "content": "Be brief."}]},
            "prompt is .*messages with a user's text, or a column question",
        ),
        ({"prompt": [{"role": "user", "content": None}]}, "prompt is .*messages with a user's text"),
        ({"question": 7}, "question is 7; expected text"),
    ],
)
def test_a_row_that_cannot_be_graded_or_asked_about_is_one_line_before_anything_is_sampled(make, oracle, change, message):
    with pytest.raises(UsageError, match=message):
        example_of(ROW | change)
    bad = ROW | change
    with pytest.raises(UsageError, match=rf"^train_dataset, row 0: a row's {message}") as error:
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, train_dataset=Dataset.from_list([bad] * 2))
    assert "\n" not in str(error.value)


def test_a_row_far_down_and_one_that_is_held_out_are_named(make, oracle, questions):
    bad = Dataset.from_list([*questions, ROW | {"answer": None}])
    with pytest.raises(UsageError, match=r"^train_dataset, row 4: a row's answer is None"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, train_dataset=bad)
    with pytest.raises(UsageError, match=r"^eval_dataset, row 4: "):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, eval_dataset=bad)
    held_out = {"easy": questions, "hard": questions.remove_columns("reference")}
    with pytest.raises(UsageError, match=r"^eval_dataset\['hard'\] has no column 'reference'"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, eval_dataset=held_out)


def test_a_dataset_on_which_trl_would_train_on_nothing_is_one_line(make, oracle, questions):
    with pytest.raises(UsageError, match="train_dataset has 1 rows, but 2 questions are sampled together"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, train_dataset=questions.select([0]))
    with pytest.raises(UsageError, match="train_dataset is the splits train, test; expected one of them"):
        make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, train_dataset=DatasetDict(train=questions, test=questions))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"remove_unused_columns": True}, "remove_unused_columns is true, but grading reads columns"),
        ({"baseline": "batch", "credit": length}, "credit is no name"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message) as error:
        CALGRPOConfig(str(tmp_path), bf16=False, **changes)
    assert "\n" not in str(error.value)


def test_a_stream_is_trained_on_and_a_bad_row_of_it_is_one_line(make, oracle, questions):
    stream = IterableDataset.from_generator(lambda: iter([dict(row) for row in questions]))
    assert made(make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, train_dataset=stream)) == 2
    bad = IterableDataset.from_generator(lambda: iter([ROW | {"answer": None}] * 4))
    with pytest.raises(UsageError, match="answer is None"):
        made(make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, train_dataset=bad))


def test_columns_of_another_name_are_read_by_an_example_of_ones_own(make, oracle, questions):
    asked = []

    class Named(CALGRPOTrainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, example_of=lambda row: Example("How many?", row["solution"], ""), **kwargs)

        def _graded(self):
            asked.extend(a.example for a in self._answered)
            return super()._graded()

    renamed = questions.remove_columns("reference").rename_column("answer", "solution")
    assert made(make(Named, CALGRPOConfig, oracle=oracle, train_dataset=renamed, max_steps=1)) == 1
    assert {e.answer for e in asked} <= set(renamed["solution"])
    with pytest.raises(UsageError, match="no column 'prompt'"):
        make(Named, CALGRPOConfig, oracle=oracle, train_dataset=renamed.rename_column("prompt", "asked"))


def test_several_held_out_sets_are_evaluated_and_the_oracle_is_not_asked(make, oracle, questions):
    trainer = make(
        CALGRPOTrainer, CALGRPOConfig, oracle=oracle, eval_dataset={"one": questions, "two": questions.select([0, 1])},
        per_device_eval_batch_size=4, num_generations_eval=2,
    )  # fmt: skip
    trainer.evaluate()
    told = [row for row in trainer.state.log_history if "eval_reward" in row]
    assert [{"eval_one_loss", "eval_two_loss"} & set(row) for row in told] == [{"eval_one_loss"}, {"eval_two_loss"}]
    assert all(np.isfinite(row["eval_reward"]) for row in told)
    assert oracle.asked == []


def test_rewards_are_weighed_and_an_answer_needs_one_of_them(make, oracle):
    async def vowels(completions, **columns):
        counted.extend(float(sum(message[0]["content"].count(v) for v in "aeiou")) for message in completions)
        return counted

    def some(completions, **columns):
        return [None if i % 2 else 1.0 for i in range(len(completions))]

    counted = []
    parts = []
    trainer = make(
        CALGRPOTrainer, CALGRPOConfig, oracle=oracle, reward_funcs=[vowels, some], reward_weights=[0.5, 2.0], max_steps=1,
        credit="grpo", on_credit=lambda step, credited: parts.append(credited),
    )  # fmt: skip
    assert made(trainer) == 1
    (credited,) = parts
    expected_B = [0.5 * vowels + (0.0 if i % 2 else 2.0) for i, vowels in enumerate(counted)]
    np.testing.assert_allclose(credited.batch.rewards_B, expected_B, rtol=1e-6)


@pytest.mark.parametrize(("bad", "message"), [(float("inf"), "an infinite number"), (float("nan"), "for 1 of 8 answers")])
def test_a_reward_that_is_not_finite_never_reaches_an_update(make, oracle, bad, message):
    trainer = make(
        CALGRPOTrainer, CALGRPOConfig, oracle=oracle, reward_funcs=lambda completions, **_: [bad, *[0.0] * 7], credit="grpo"
    )
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with pytest.raises(UsageError, match=message):
        trainer.train()
    assert all(torch.equal(left, right) for left, right in zip(before, trainer.model.parameters(), strict=True))


class Kept(CALGRPOTrainer):
    """Keeps the ids and credit that reach each loss, beside what was credited."""

    def __init__(self, *args, **kwargs):
        self.reached, self.credited = [], []
        super().__init__(*args, on_credit=self._keep, **kwargs)

    def _keep(self, step, credited):
        for row_T, judged in zip(credited.advantages_BT, credited.judged, strict=True):
            own = list(judged.completion.token_ids)
            self.credited.append((own, [round(float(a), 5) for a in row_T[: len(own)]]))

    def _compute_loss(self, model, inputs):
        if model.training:
            for ids, mask, row_T in zip(inputs["completion_ids"], inputs["completion_mask"], inputs["advantages"], strict=True):
                self.reached.append((ids[: int(mask.sum())].tolist(), [round(float(a), 5) for a in row_T]))
        return super()._compute_loss(model, inputs)


@pytest.mark.parametrize(
    ("layout", "updates", "rows"),
    [
        ({"steps_per_generation": 3, "gradient_accumulation_steps": 2, "max_steps": 3}, 3, 20),  # TRL closes an epoch
        ({"steps_per_generation": 4, "gradient_accumulation_steps": 1, "max_steps": 3}, 3, 12),  # ends among its rows
        ({"steps_per_generation": 1, "gradient_accumulation_steps": 2, "max_steps": 2}, 2, 16),
        ({"generation_batch_size": 16, "gradient_accumulation_steps": 2, "num_iterations": 2, "max_steps": 4}, 4, 32),
        ({"max_steps": -1, "num_train_epochs": 2}, 8, 32),
        ({"per_device_train_batch_size": 3, "gradient_accumulation_steps": 4, "max_steps": 1}, 1, 12),  # groups lie across
        ({"gradient_checkpointing": True, "credit": "probability_mask", "max_steps": 1}, 1, 4),
        ({"num_generations": 1, "baseline": "batch", "steps_per_generation": 2, "per_device_train_batch_size": 2}, 2, 4),
        ({"num_generations": 3, "per_device_train_batch_size": 3, "pad_to_multiple_of": 8, "max_steps": 1}, 1, 3),
        ({"max_completion_length": None, "generation_kwargs": {"max_new_tokens": 8}, "max_steps": 1}, 1, 4),
        ({"log_completions": True, "top_entropy_quantile": 0.5, "delta": 2.0, "max_steps": 1}, 1, 4),
    ],
)
def test_whatever_the_layout_each_row_of_an_update_has_the_credit_that_was_given_to_its_answer(
    make, oracle, layout, updates, rows
):
    trainer = make(Kept, CALGRPOConfig, oracle=oracle, **{"per_device_train_batch_size": 4} | layout)
    assert made(trainer) == updates
    assert len(trainer.reached) == rows
    for ids, row_T in trainer.reached:
        found = [credit for own, credit in trainer.credited if own in (ids, ids[:-1])]
        assert any(row_T[: len(credit)] == credit for credit in found)
        assert not any(row_T[len(ids) :])


def test_a_callback_that_stops_it_does_so_in_good_order(make, oracle):
    class Stops(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = True

    trainer = make(
        CALGRPOTrainer, CALGRPOConfig, oracle=oracle, callbacks=[Stops()], steps_per_generation=4, max_steps=8,
        per_device_train_batch_size=4,
    )  # fmt: skip
    assert made(trainer) == 1


def test_an_adapter_is_trained_saved_and_gone_on_from(make, oracle, tmp_path):
    settings = {
        "oracle": oracle, "save_strategy": "steps", "save_steps": 1, "beta": 0.1, "per_device_train_batch_size": 4,
        "peft_config": LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    }  # fmt: skip
    whole = make(CALGRPOTrainer, CALGRPOConfig, max_steps=3, **settings)
    assert made(whole) == 3
    again = make(CALGRPOTrainer, CALGRPOConfig, max_steps=3, **settings)
    again.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    assert [row["step"] for row in again.state.log_history if "loss" in row] == [1, 2, 3]
    for (name, left), (_, right) in zip(whole.model.named_parameters(), again.model.named_parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6, msg=name)


def test_without_an_oracle_a_credit_that_needs_none_is_given(make):
    assert made(make(CALGRPOTrainer, CALGRPOConfig, oracle=None, credit="grpo", max_steps=1)) == 1
    assert made(make(CALGRPOTrainer, CALGRPOConfig, use_cal=False, max_steps=1)) == 1
