"""Hard limits on what an oracle may spend."""

from dataclasses import dataclass, field

from cal_grpo.oracles.types import Usage


@dataclass
class Budget:
    """Counts what was spent and says when a limit is reached.

    Calls in flight count as made, so ``max_calls`` is exact. Their tokens are known only afterwards: the other limits
    are overshot by these calls at most.
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_usd: float | None = None
    spent: Usage = field(default_factory=Usage)
    in_flight: int = 0

    def reached(self) -> str | None:
        """The limit that allows no further call, as ``name=value``; None while there is room."""
        usd = self.spent.usd or 0.0
        for name, limit, amount in (
            ("max_calls", self.max_calls, self.spent.calls + self.in_flight),
            ("max_tokens", self.max_tokens, self.spent.tokens),
            ("max_usd", self.max_usd, usd),
        ):
            if limit is not None and amount >= limit:
                return f"{name}={limit}"
        return None

    def start(self) -> None:
        """A call begins."""
        self.in_flight += 1

    def finish(self, usage: Usage) -> None:
        """It ended, and this is what it took."""
        self.in_flight -= 1
        self.spent += usage
