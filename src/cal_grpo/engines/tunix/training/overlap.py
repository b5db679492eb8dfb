"""Hiding an oracle's latency behind the rest of the update.

Tunix prepares a mini-batch's micro-batches on a thread of its own and hands them to the main thread, which updates on
them one by one, through a queue (tunix 0.1.7, rl/rl_learner.py, ``_prepare_data``, ``_run_all_micro_batch_steps``). Here
the preparing thread puts *pending* examples, whose verdicts are on their way, into a queue in between; another thread
waits for the verdicts, in order, and puts the finished examples into Tunix's queue. So an oracle thinks while later
micro-batches are sampled, reference log-probs are computed, and earlier micro-batches are updated on.
"""

import threading
from collections.abc import Callable
from typing import Any

from tunix.rl.queue.data_queue import SimpleDataQueue


class PendingExample:
    """A micro-batch whose credit is not known yet. Redeemed once, however often Tunix repeats it."""

    def __init__(self, redeem: Callable[[], Any]) -> None:
        self._redeem: Callable[[], Any] | None = redeem
        self._example: Any = None

    def redeem(self) -> Any:
        """The finished training example; waits for its verdicts the first time."""
        if self._redeem is not None:
            self._example, self._redeem = self._redeem(), None
        return self._example


class Redeemer:
    """Moves examples from a queue of pending ones, ``pending``, to Tunix's ``finished`` queue.

    The end of the queue, ``None``, reaches the main thread whatever happens: without it, it would wait for ever.
    ``join`` raises what redeeming raised.
    """

    def __init__(self, finished: Any) -> None:
        self.pending: SimpleDataQueue[list[Any] | None] = SimpleDataQueue()
        self._finished = finished
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="redeem-verdicts", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while (item := self.pending.get()) is not None:
                self._finished.put([e.redeem() if isinstance(e, PendingExample) else e for e in item])
        except BaseException as e:  # noqa: BLE001 - whatever it is, it is raised where the caller joins
            self._error = e
        finally:
            self._finished.put(None)

    def join(self) -> None:
        """Wait until all that was pending is finished.

        Raises:
            BaseException: what redeeming an example raised.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
