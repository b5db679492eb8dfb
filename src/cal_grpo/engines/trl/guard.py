"""The hooks fail closed: with credit on, no update is made without it.

TRL's maintainers call advantages a token not on their roadmap (trl issue 7182), while ``_compute_loss`` takes them. So what
the trainer overrides or calls of TRL's private methods is listed here, must be there, and what reaches a loss is looked at.
"""

import inspect
from typing import Any

from trl import GRPOTrainer

from cal_grpo.errors import UsageError

VERSION = "trl==1.16.0"
# Private methods of ``GRPOTrainer`` (trl 1.16.0, trainer/grpo_trainer.py), and the parameters that are relied on.
HOOKS = {
    "_calculate_rewards": ("inputs", "prompts", "completions", "completion_ids_list"),  # 1579, overridden: grades are taken
    "_generate_and_score_completions": ("inputs",),  # 2324, overridden: its ``advantages`` are swapped
    "_compute_loss": ("model", "inputs"),  # 3020, overridden: what it is given is looked at; (B, T) advantages since 3058
    "_get_per_token_logps_and_entropies": (  # 1419, called for formulas that read log-probs, and for corrections
        "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size",
    ),
}  # fmt: skip


def check_hooks() -> None:
    """See that TRL has what the trainer overrides.

    Raises:
        UsageError: it does not.
    """
    for name, parameters in HOOKS.items():
        hook = getattr(GRPOTrainer, name, None)
        there = () if hook is None else tuple(inspect.signature(hook).parameters)
        if missing := [parameter for parameter in parameters if parameter not in there]:
            what = f"no {name}" if hook is None else f"a {name} without {missing[0]!r}"
            raise UsageError(f"the installed TRL has {what}, through which credit is given; install {VERSION}")


class UpdateGuard:
    """Compares the rows of this process that were credited with those that are updated on.

    Args:
        repeats: how often each row is updated on.
    """

    def __init__(self, repeats: int) -> None:
        self._repeats = repeats
        self.credited = self.updated = self._last = 0

    def look_at(self, inputs: dict[str, Any]) -> None:
        """Count a forward pass's rows.

        Raises:
            UsageError: their advantages are not one a token.
        """
        advantages, mask = inputs["advantages"], inputs["completion_mask"]
        if advantages.shape != mask.shape:
            raise UsageError(
                f"an update would be made on advantages of shape {tuple(advantages.shape)}, expected {tuple(mask.shape)}: the "
                f"credit did not reach it; install {VERSION}"
            )
        self.updated += len(advantages)

    def credit(self, rows: int) -> None:
        """So many rows more were credited; all before must have been updated on.

        Raises:
            UsageError: they were not.
        """
        self._compare(self.updated == self.credited * self._repeats)
        self.credited += rows
        self._last = rows

    def end(self) -> None:
        """A training is over. It can have stopped among the updates on the last rows, but not before any of them.

        Raises:
            UsageError: the last rows were never updated on, or more were than had been credited.
        """
        left = self.credited * self._repeats - self.updated
        self._compare(0 <= left < max(self._last * self._repeats, 1))

    def _compare(self, fits: bool) -> None:
        if not fits:
            raise UsageError(
                f"{self.credited} rows were credited and {self.updated} updated on, expected {self._repeats} times as many: "
                f"the credit did not reach the update; install {VERSION}"
            )
