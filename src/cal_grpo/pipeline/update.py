"""The parts of one update, whose credit may depend on each other."""

import threading

from cal_grpo.pipeline.pipeline import CreditPipeline
from cal_grpo.pipeline.types import Credited, Pending


class Update:
    """Credits an update's parts (micro-batches), each as soon as all that its credit depends on is known.

    A part waits for its own verdicts, and for those of the whole update only where one of its rows needs them: so the loss
    is the same whatever the parts are, and an oracle still thinks while other parts are sampled and updated on.

    ``add`` and ``close`` are called by whoever samples, ``redeem`` by whoever updates, on another thread if need be.
    """

    def __init__(self, pipeline: CreditPipeline) -> None:
        self._pipeline = pipeline
        self._parts: list[Pending] = []
        self._complete = threading.Event()
        self._mean: list[float | None] = []  # once it is known

    def add(self, part: Pending) -> None:
        """Another part was sampled and its wrong answers were asked about."""
        self._parts.append(part)

    def close(self) -> None:
        """No other part comes, because the update is whole or because sampling failed."""
        self._complete.set()

    def redeem(self, part: Pending) -> Credited:
        """A part with its credit; see ``CreditPipeline.redeem``."""
        return self._pipeline.redeem(part, self._mean_found)

    def _mean_found(self) -> float | None:
        self._complete.wait()
        if not self._mean:
            self._mean.append(self._pipeline.mean_found(self._parts))
        return self._mean[0]
