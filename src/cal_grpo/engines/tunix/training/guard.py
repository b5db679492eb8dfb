"""The hooks fail closed: with credit on, no update is made without it.

The learner overrides hooks of Tunix that are private. Were one renamed, Tunix would go on with its own advantages while the
oracle is asked and paid. So what the learner overrides must be there, and what reaches an update is looked at.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from tunix.rl.grpo.grpo_learner import GRPOLearner

from cal_grpo.errors import UsageError

VERSION = "google-tunix==0.1.7"
# What is overridden, and the parameters that are passed on by name.
HOOKS = {
    "_compute_rewards": ("prompts", "completions", "mode"),
    "_generate_and_compute_advantage": ("training_input", "mode"),
    "_process_accumulated_batches": ("micro_batches", "micro_batch_sizes", "mode"),
    "_prepare_data": ("iterator", "data_queue", "mode"),
}


def check_hooks() -> None:
    """See that Tunix has what the learner overrides.

    Raises:
        UsageError: it does not.
    """
    for name, parameters in HOOKS.items():
        hook = getattr(GRPOLearner, name, None)
        there = () if hook is None else tuple(inspect.signature(hook).parameters)
        if missing := [parameter for parameter in parameters if parameter not in there]:
            what = f"no {name}" if hook is None else f"a {name} without {missing[0]!r}"
            raise UsageError(f"the installed Tunix has {what}, through which credit is given; install {VERSION}")


class UpdateGuard:
    """Compares the rows that were credited with those that are updated on.

    Args:
        rl_cluster: whose ``update_actor`` is watched from now on.
        repeats: how often each row is updated on.
    """

    def __init__(self, rl_cluster: Any, repeats: int) -> None:
        self._repeats = repeats
        self.credited = self.updated = 0
        update: Callable[..., Any] = rl_cluster.update_actor

        def update_actor(train_ds: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
            examples = list(train_ds)
            for example in examples:
                self._look_at(example)
            return update(examples, *args, **kwargs)

        rl_cluster.update_actor = update_actor

    def _look_at(self, example: Any) -> None:
        advantages, mask = example.advantages, example.completion_mask
        if advantages.ndim != 2 or advantages.shape != mask.shape:
            raise UsageError(
                f"an update would be made on advantages of shape {advantages.shape}, expected {mask.shape}: the credit did not "
                f"reach it; install {VERSION}"
            )
        self.updated += len(advantages)

    def check(self) -> None:
        """See that as many rows were updated on as were credited, at the end of an update.

        Raises:
            UsageError: they were not.
        """
        if self.updated != self.credited * self._repeats:
            raise UsageError(
                f"{self.credited} rows were credited and {self.updated} updated on, expected {self._repeats} times as many: "
                f"the credit did not reach the update; install {VERSION}"
            )
