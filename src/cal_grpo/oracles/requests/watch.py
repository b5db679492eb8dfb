"""Whether the oracles' event loop gets its turn: one that blocks where it should await holds up all calls, and no limit of
time can end its own."""

import asyncio
import threading
from collections.abc import Callable

LONGEST_S = 10.0


def watch(
    loop: asyncio.AbstractEventLoop,
    name: str,
    tell: Callable[[str], None],
    ended: threading.Event,
    longest_s: float = LONGEST_S,
) -> None:
    """Look at a running loop from a thread of its own, until the loop is closed or ``ended`` is set.

    Args:
        loop: whose turn is waited for.
        name: of the oracle.
        tell: hears once, in one line, when the loop did nothing else for ``longest_s`` seconds.
        ended: set when it is over.
        longest_s: seconds between two looks, too.
    """
    while not ended.wait(longest_s):
        turn = threading.Event()
        try:
            loop.call_soon_threadsafe(turn.set)
        except RuntimeError:  # it is closed
            return
        # In two halves: where the whole process slept, the first is over before the loop has woken up
        if not any(turn.wait(longest_s / 2) for _ in range(2)) and not ended.is_set():
            tell(
                f"the oracle {name!r} has held up all its other calls for {longest_s:g} s, and its own time limit: its locate "
                "blocks without awaiting; put what blocks into `await asyncio.to_thread(...)`"
            )
            return
