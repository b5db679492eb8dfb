"""Corrections on TRL: a term beside its loss, over tensors that its buffer splits and shuffles with the answers."""

import numpy as np
import pytest

pytest.importorskip("trl", reason="TRL is not installed; make test-trl runs this")
import torch
from _corrects import Corrects
from trl import GRPOTrainer

from cal_grpo.engines.trl import CALGRPOConfig, CALGRPOTrainer
from cal_grpo.errors import UsageError

C = 0.7


class Compared(CALGRPOTrainer):
    """Keeps what its loss adds to TRL's own, and the gradient of that beside a hand-written one's."""

    def __init__(self, *args, **kwargs):
        self.seen, self.parts = [], []
        super().__init__(*args, on_credit=lambda step, credited: self.parts.append(credited), **kwargs)

    def _compute_loss(self, model, inputs):
        loss = super()._compute_loss(model, inputs)
        self._guard.updated -= len(inputs["advantages"])  # counted once
        own = GRPOTrainer._compute_loss(self, model, inputs)
        self._guard.updated += len(inputs["advantages"])
        parameters = [p for p in model.parameters() if p.requires_grad]
        added = torch.autograd.grad(loss - own, parameters, retain_graph=True, allow_unused=True)
        by_hand = self._by_hand(model, inputs)
        expected = torch.autograd.grad(by_hand, parameters, retain_graph=True, allow_unused=True)
        self.seen.append(((loss - own).item(), by_hand.item(), added, expected, inputs))
        return loss

    def _by_hand(self, model, inputs):
        ids = torch.cat([inputs["prompt_ids"], inputs["correction_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["correction_mask"]], dim=1)
        logits = self.accelerator.unwrap_model(model).model(input_ids=ids, attention_mask=mask).last_hidden_state
        logits = self.accelerator.unwrap_model(model).lm_head(logits).float() / self.temperature
        begin = inputs["prompt_ids"].size(1)
        logps = torch.log_softmax(logits[:, begin - 1 : -1], dim=-1).gather(2, ids[:, begin:, None])[..., 0]
        tokens = inputs["completion_mask"].sum() if self.args.loss_type == "bnpo" else inputs["num_items_in_batch"]
        passes = self.current_gradient_accumulation_steps if self.args.loss_type == "bnpo" else 1
        return -C * (inputs["correction_weights"] * logps).sum() / tokens / passes


@pytest.mark.parametrize("loss_type", ["bnpo", "dapo"])
def test_what_is_added_is_the_hand_written_loss_and_so_is_its_gradient(make, loss_type):
    trainer = make(
        Compared, CALGRPOConfig, oracle=Corrects(), corrections="rest", correction_weight=C, loss_type=loss_type, max_steps=1,
        gradient_accumulation_steps=2, per_device_train_batch_size=4, max_completion_length=24, temperature=0.9, beta=0.1,
    )  # fmt: skip
    trainer.train()
    assert len(trainer.seen) == 2
    for added, by_hand, gradient, expected, _ in trainer.seen:
        assert added == pytest.approx(by_hand, rel=1e-4, abs=1e-6)
        for left, right in zip(gradient, expected, strict=True):
            if right is not None:
                torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-6)
    assert max(by_hand for _, by_hand, *_ in trainer.seen) > 1e-3
    (row,) = [row for row in trainer.state.log_history if "loss" in row]
    assert row["correction_loss"] == pytest.approx(sum(by_hand for _, by_hand, *_ in trainer.seen), rel=1e-4)
    assert row["cal/corrections"] == sum(c.count for part in trainer.parts for c in part.corrections) > 0


def test_each_correction_reaches_the_loss_behind_its_own_rows_prompt_and_ids(make):
    trainer = make(
        Compared, CALGRPOConfig, oracle=Corrects(), corrections="step", correction_weight=C, max_steps=1,
        gradient_accumulation_steps=2, per_device_train_batch_size=4, max_completion_length=24,
    )  # fmt: skip
    trainer.train()
    reached = []
    for *_, inputs in trainer.seen:
        assert inputs["correction_ids"].shape == inputs["correction_mask"].shape == inputs["correction_weights"].shape
        for row in range(len(inputs["correction_ids"])):
            length = int(inputs["correction_mask"][row].sum())
            weights = inputs["correction_weights"][row]
            kept = int((weights[:length] == 0).sum())
            ids = inputs["correction_ids"][row, :length].tolist()
            assert not weights[length:].any()
            if length:
                assert ids[:kept] == inputs["completion_ids"][row, :kept].tolist()
                reached.append((kept, tuple(ids[kept:]), float(weights[kept])))
    told = [(c.kept, c.token_ids, float(c.count)) for part in trainer.parts for c in part.corrections]
    assert sorted(reached) == sorted(told)
    assert told


def test_off_and_a_weight_of_0_learn_nothing_bit_for_bit(make):
    made = []
    for more in ({}, {"corrections": "rest", "correction_weight": 0.0}):
        trainer = make(CALGRPOTrainer, CALGRPOConfig, oracle=Corrects(), max_steps=2, **more)
        trainer.train()
        assert trainer._pipeline.corrector is None
        assert not any(name.startswith("correction") for name in trainer._buffered_inputs[0])
        assert not any("correction" in name for row in trainer.state.log_history for name in row)
        made.append([p.detach().numpy().copy() for p in trainer.model.parameters()])
    for left, right in zip(*made, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_sampling_without_a_correction_adds_nothing(make, oracle):
    trainer = make(CALGRPOTrainer, CALGRPOConfig, oracle=oracle, max_steps=1, corrections="rest")
    trainer.train()
    assert trainer._buffered_inputs[0]["correction_ids"].shape == (8, 0)
    (row,) = [row for row in trainer.state.log_history if "loss" in row]
    assert (row["correction_loss"], row["cal/corrections"]) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corrections": "all"}, "corrections is 'all'; expected one of off, step, rest"),
        ({"corrections": "rest", "correction_weight": -1.0}, "correction_weight is -1.0"),
        ({"corrections": "rest", "correction_copies": "ask"}, "correction_copies is 'ask'"),
        ({"corrections": "rest", "use_cal": False}, "the engine's own trainer learns none"),
        ({"corrections": "rest", "loss_type": "grpo"}, "corrections is rest with loss_type=grpo; expected one of bnpo, dapo"),
        ({"corrections": "rest", "oracle": None, "credit": "grpo"}, "corrections='rest' needs an oracle"),
    ],
)
def test_what_cannot_be_learned_is_one_line(make, oracle, changes, message):
    with pytest.raises(UsageError, match=r"^[^\n]*$") as error:
        make(CALGRPOTrainer, CALGRPOConfig, **({"oracle": oracle} | changes))
    assert message in str(error.value)
