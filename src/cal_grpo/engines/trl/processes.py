"""One job of several processes: the main one grades, asks, credits and writes; the others compute."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

T = TypeVar("T")

# In a job on CPUs a checkpoint's optimizer is to be read to "cpu:0" (accelerate 1.15.0, state.py, 844; transformers 5.12.1,
# trainer.py, 3667), which torch.load does not know (torch 2.13.0, serialization.py, ``default_restore_location``).
torch.serialization.register_package(
    100, lambda _: None, lambda storage, location: storage if location.startswith("cpu:") else None
)


class MainFailed(Exception):
    """The main process failed, and says why itself."""


def gathered(rows: Sequence[T]) -> list[T]:
    """The rows of all processes, in the processes' order, on each of them."""
    found: list[T] = gather_object(list(rows))
    return found


def on_main(compute: Callable[[], T]) -> T:
    """What the main process computes, on every process. All of them have to call it.

    Raises:
        Exception: on the main process what ``compute`` raised; ``MainFailed`` on the others, so that none waits for ever.
    """
    state = PartialState()
    if state.num_processes == 1:
        return compute()
    answer: list[T | None] = [None]
    failed: list[Exception] = []
    if state.is_main_process:
        try:
            answer[0] = compute()
        except Exception as e:  # noqa: BLE001 - whatever it is, the others must hear of it
            failed.append(e)
    message = [not failed, answer[0]]
    broadcast_object_list(message, from_process=0)
    if failed:
        raise failed[0]
    if not message[0]:
        raise MainFailed
    return message[1]  # type: ignore[return-value]
