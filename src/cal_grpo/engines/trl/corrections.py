"""What should have stood there, learned by heart beside TRL's loss.

A second forward pass, over tensors that TRL's buffer splits and shuffles with the answers; as rows of the batch they would get
TRL's ratio, clip and KL term. Every process makes it, with zeros if need be: of a sharded model all have to. Where no row of a
sampling is corrected, on any process, the tensors have no column, and none makes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cal_grpo.engines.reading import PlainText
from cal_grpo.engines.trl.config import CALGRPOConfig
from cal_grpo.pipeline import Corrector, Credited, Pending


def corrector_of(args: CALGRPOConfig, tokenizer: Any) -> Corrector | None:
    """Makes rows to learn from; None where none are learned."""
    if not args.teaches or args.corrections == "off":
        return None
    longest = int(args.max_completion_length or 2**31)  # None: answers get as long as they get
    return Corrector(args.corrections, PlainText(tokenizer).continuing, longest, args.correction_copies)


@dataclass(frozen=True)
class Taught:
    """The corrections of the rows of all processes; C is the longest of them, with the sampled ids that it follows.

    Attributes:
        ids_BC: int64, behind a row's prompt: the sampled ids before the error, the correction's, padding.
        mask_BC: int64, 1 on both.
        weights_BC: float32, the rows that a correction stands for on its own ids, 0 elsewhere.
    """

    ids_BC: np.ndarray
    mask_BC: np.ndarray
    weights_BC: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[Pending], credited: Sequence[Credited], pad_id: int) -> "Taught":
        """Those of an update's parts, in order."""
        rows = sum(len(part.completions) for part in parts)
        width = max((c.kept + len(c.token_ids) for one in credited for c in one.corrections), default=0)
        ids_BC, mask_BC = np.full((rows, width), pad_id, np.int64), np.zeros((rows, width), np.int64)
        weights_BC, first = np.zeros((rows, width), np.float32), 0
        for part, one in zip(parts, credited, strict=True):
            for c in one.corrections:
                row, end = first + c.row, c.kept + len(c.token_ids)
                ids_BC[row, :end] = [*part.completions[c.row].token_ids[: c.kept], *c.token_ids]
                mask_BC[row, :end] = 1
                weights_BC[row, c.kept : end] = c.count
            first += len(part.completions)
        return cls(ids_BC, mask_BC, weights_BC)

    def rows(self, mine: slice, device: torch.device) -> dict[str, torch.Tensor]:
        """A process's own, by the names that they have in TRL's buffer."""
        arrays = {"ids": self.ids_BC, "mask": self.mask_BC, "weights": self.weights_BC}
        return {f"correction_{name}": torch.from_numpy(array[mine]).to(device) for name, array in arrays.items()}


def taught_loss(trainer: Any, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """``-weight * log p`` of the corrections' ids, counted as TRL counts the tokens beside them; no ratio, clip or KL.

    Those are, for ``bnpo``, the sampled tokens of this process's forward pass, and for ``dapo`` and ``cispo`` those of the
    update on all processes (trl 1.16.0, trainer/grpo_trainer.py, ``_compute_loss``).
    """
    args, passes = trainer.args, trainer.current_gradient_accumulation_steps
    weights_BC = inputs["correction_weights"]
    if weights_BC.size(1) == 0:
        trainer._metrics["train"]["correction_loss"].append(0.0)
        return weights_BC.sum()
    ids = torch.cat([inputs["prompt_ids"], inputs["correction_ids"]], dim=1)
    mask = torch.cat([inputs["prompt_mask"], inputs["correction_mask"]], dim=1)
    logps_BC, *_ = trainer._get_per_token_logps_and_entropies(model, ids, mask, weights_BC.size(1))
    if args.loss_type == "bnpo":
        count = inputs["completion_mask"].sum().clamp(min=1.0) * passes
    else:
        sampled = inputs["num_items_in_batch"].clamp(min=1.0) / trainer.accelerator.num_processes
        count = sampled * passes / args.steps_per_generation
    added: torch.Tensor = -args.correction_weight * (weights_BC * logps_BC).sum() / count
    told = trainer.accelerator.gather(added.detach() * passes)
    trainer._metrics["train"]["correction_loss"].append(told.mean().item())
    return added
