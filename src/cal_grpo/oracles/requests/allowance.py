"""What all calls of one ``CALOracle`` share: how many at once, how fast, and what they may cost."""

import asyncio
from collections.abc import Callable

from cal_grpo.oracles.requests.budget import Budget
from cal_grpo.oracles.requests.limits import Limits
from cal_grpo.oracles.types import Tag, Verdict


class Allowance:
    """Shared by all who call.

    Args:
        concurrency: calls in flight at most.
        limits: requests and tokens a minute.
        budget: what may be spent.
        tell: hears, in one line and once, that the budget is spent.

    Attributes:
        on_spent: called once with the limit that was reached.
        retried: calls that were made because an earlier one for the same question had failed, or was of no use.
        demanding: whether an oracle that rejects its first question is a mistake that a person must mend.
    """

    def __init__(self, concurrency: int, limits: Limits, budget: Budget, tell: Callable[[str], None]) -> None:
        self.limits, self.budget, self.retried = limits, budget, 0
        self.demanding = False
        self.on_spent: Callable[[str], None] | None = None
        self._concurrency, self._tell, self._told = concurrency, tell, False
        self.renew()

    def renew(self) -> None:
        """Ready for another event loop: a semaphore belongs to the one that waited for it."""
        self.slots = asyncio.Semaphore(self._concurrency)

    def refusal(self) -> Verdict | None:
        """Why no call may be made any more, as a verdict that cost nothing."""
        if (limit := self.budget.reached()) is None:
            return None
        detail = f"{limit} is reached"
        self.tell_spent(detail)
        return Verdict(Tag.OVER_BUDGET, detail=detail)

    def tell_spent(self, detail: str) -> None:
        """Say once that the budget is spent."""
        if self._told:
            return
        self._told = True
        self._tell(f"the oracle's budget is spent: {detail}")
        if self.on_spent is not None:
            self.on_spent(detail)
