"""The parts of one update, whose credit may depend on each other."""

import threading
from collections import Counter
from dataclasses import replace
from itertools import accumulate

from cal_grpo.pipeline.metrics import correction_metrics, sums_of
from cal_grpo.pipeline.pipeline import CreditPipeline
from cal_grpo.pipeline.types import Credited, Pending


class Update:
    """Credits an update's parts (micro-batches), each as soon as all that its credit depends on is known.

    A part waits for its own verdicts, and for those of the whole update only where one of its rows needs them, or where the
    update is the baseline: so the credit is the same whatever the parts are, and an oracle still thinks while other parts are
    sampled and updated on.

    ``add`` and ``close`` are called by whoever samples, ``redeem`` by whoever updates, on another thread if need be.
    """

    def __init__(self, pipeline: CreditPipeline) -> None:
        self._pipeline = pipeline
        self._parts: list[Pending] = []
        self._complete = threading.Event()
        self._mean: list[float | None] = []  # once it is known
        self._credited: list[Credited] = []  # of each part, once all are

    def add(self, part: Pending) -> None:
        """Another part was sampled and its wrong answers were asked about."""
        self._parts.append(part)

    def close(self) -> None:
        """No other part comes, because the update is whole or because sampling failed."""
        self._complete.set()

    def redeem(self, part: Pending) -> Credited:
        """A part with its credit; see ``CreditPipeline.redeem``. It was added before."""
        if self._pipeline.baseline == "group":
            return self._pipeline.redeem(part, self._mean_found)
        self._complete.wait()
        if not self._credited:
            self._credited = self._together()
        return self._credited[next(i for i, added in enumerate(self._parts) if added is part)]

    def _mean_found(self) -> float | None:
        self._complete.wait()
        if not self._mean:
            self._mean.append(self._pipeline.mean_found(self._parts))
        return self._mean[0]

    def _together(self) -> list[Credited]:
        """All parts, credited as one batch."""
        whole = self._pipeline.redeem(Pending.joined(self._parts))
        ends = list(accumulate(len(part.completions) for part in self._parts))
        return [_rows(whole, slice(start, end)) for start, end in zip([0, *ends], ends, strict=False)]


def _rows(whole: Credited, rows: slice) -> Credited:
    judged = whole.judged[rows]
    width = max((len(j.completion.token_ids) for j in judged), default=0) + any(j.completion.end_token for j in judged)
    missed = Counter(j.miss for j in judged if j.miss is not None) if whole.missed else Counter[str]()
    corrections = [replace(c, row=c.row - rows.start) for c in whole.corrections if rows.start <= c.row < rows.stop]
    left_out = {row - rows.start: reason for row, reason in whole.left_out.items() if rows.start <= row < rows.stop}
    of_all = {name: value for name, value in whole.metrics.items() if not name.startswith("corrections_dropped/")}
    metrics = of_all | sums_of(judged)
    if "corrections" in metrics:
        metrics |= correction_metrics(corrections, left_out)
    return Credited(whole.advantages_BT[rows, :width], whole.batch, metrics, missed, judged, corrections, left_out)
