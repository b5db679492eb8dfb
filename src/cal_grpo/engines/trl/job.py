"""A job's processes do together what the main one is asked to do.

A run knows one engine. In a job that ``accelerate launch`` has started there is one in each process; the others' wait in
``follow`` for the name of a method and its arguments, so that the run itself, its folder and its oracle are the main one's.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from trl.models.utils import unwrap_model_for_generation

from cal_grpo.engines.trl.processes import MainFailed
from cal_grpo.errors import RunFailed, UsageError


class Job:
    """This process's part in it.

    Attributes:
        process, processes: which one this is, and how many there are.
        leads: it is the main one.
    """

    def __init__(self) -> None:
        state = PartialState()
        self.process, self.processes, self.leads = state.process_index, state.num_processes, state.is_main_process
        self._open = self.processes > 1

    def together(self, engine: Any, method: str, *arguments: Any) -> Any:
        """Call a method of this process's engine, and the same one of all the others'."""
        if self._open:
            broadcast_object_list([(method, arguments)], from_process=0)
        try:
            return getattr(engine, method)(*arguments)
        except BaseException:
            self._open = False  # the others have failed with it
            raise

    def follow(self, engine: Any) -> None:
        """On the main process, nothing. On another one, do what that does until it ends; then this process ends too.

        Raises:
            SystemExit: the job is over: status 0, or 1 where the main process failed.
        """
        PartialState().wait_for_everyone()  # the main one creates nothing before the others have looked around
        if self.leads:
            return
        for number in (signal.SIGINT, signal.SIGTERM):  # the main process hears of it too, and says what becomes of the job
            signal.signal(number, signal.SIG_IGN)
        while True:
            message: list[Any] = [None]
            broadcast_object_list(message, from_process=0)
            if message[0] is None:
                torch.distributed.destroy_process_group()
                raise SystemExit(0)
            method, arguments = message[0]
            try:
                getattr(engine, method)(*arguments)
            except (MainFailed, RunFailed):
                raise SystemExit(1) from None
            except UsageError as e:  # such as a reward function's, for the answers that are this process's
                print(f"cal-grpo, process {self.process}: {e}", file=sys.stderr)
                raise SystemExit(1) from None

    def end(self) -> None:
        """Let the other processes go."""
        if self._open:
            self._open = False
            broadcast_object_list([None], from_process=0)
            torch.distributed.destroy_process_group()

    @contextlib.contextmanager
    def whole(self, trainer: Any, model: Any) -> Iterator[Any]:
        """A model that can answer: as it was loaded, or the trainer's, gathered where it is sharded."""
        if trainer is None:
            yield model
            return
        with unwrap_model_for_generation(
            trainer.model_wrapped, trainer.accelerator, gather_deepspeed3_params=trainer.args.ds3_gather_for_generation
        ) as unwrapped:
            yield unwrapped
