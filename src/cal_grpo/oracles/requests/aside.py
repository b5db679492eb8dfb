"""Whoever is asked works on a loop of his own, where he holds up nobody who keeps time."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_CLOSING_S = 1.0  # for those who let go of their work


class Aside:
    """An event loop on a thread of its own, which starts when it is needed.

    An oracle may compute, or wait without ``await``, as long as it likes: its time limit runs out on the loop that asked, and
    so do those of all others.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """What ``work`` brings. It is begun on the other loop, and cancelled there when this is cancelled."""

        async def there() -> _T:
            task = asyncio.current_task()
            assert task is not None
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may wait for it any more
            return await work()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), self._running_loop()))

    def close(self) -> bool:
        """Cancel what is under way and stop the thread; it starts again when it is needed.

        Returns:
            Whether it stopped. A thread whose oracle does not let go is left behind.
        """
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            return True
        loop.call_soon_threadsafe(_wind_down, loop)
        thread.join(_CLOSING_S)
        return not thread.is_alive()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name=self._name, daemon=True)
            self._thread.start()
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()  # here, for one that is left behind ends later


def _wind_down(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()

    async def last() -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSING_S / 2)
        loop.stop()

    loop.create_task(last())
