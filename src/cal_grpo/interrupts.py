"""The first Ctrl-C or SIGTERM asks, the second one insists.

Python raises ``KeyboardInterrupt`` wherever the program happens to be, and an import or a third party's bare ``except`` may
swallow it or make another error of it. So what was asked for is kept, and looked for where a program can end.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class _Heard:
    """What was asked for so far, and what the next signal does."""

    def __init__(self, insist: Callable[[], object]) -> None:
        self.asked, self.answered = threading.Event(), False
        self.say: Callable[[], None] | None = None
        self._insist = insist

    def on_signal(self, number: int, frame: Any) -> None:
        if self.asked.is_set():
            self._insist()
            raise KeyboardInterrupt
        self.asked.set()
        if self.say is None:
            raise KeyboardInterrupt
        with contextlib.suppress(RuntimeError):  # in the middle of another line; what counts is that it was heard
            self.say()


_current: _Heard | None = None


@contextlib.contextmanager
def heard(insist: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hear Ctrl-C and SIGTERM meanwhile; within another ``heard``, as that one does. Other threads than the main one hear none.

    The first one raises ``KeyboardInterrupt``, but within ``ends_in_good_order``. An error after one was heard, such as that of
    a half-made import, is taken for its consequence.

    Args:
        insist: called by the second one, before it raises ``KeyboardInterrupt``; may end the process.
    """
    global _current
    if _current is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    now = _current = _Heard(insist)
    previous = {number: signal.signal(number, now.on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Exception as e:
        if now.asked.is_set() and not now.answered:
            raise KeyboardInterrupt from e
        raise
    finally:
        _current = None
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def check() -> None:
    """End here, if that was asked for and swallowed.

    Raises:
        KeyboardInterrupt: it was.
    """
    if _current is not None and _current.asked.is_set() and not _current.answered:
        raise KeyboardInterrupt


@contextlib.contextmanager
def ends_in_good_order(say: Callable[[str], None], text: str) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets, saying ``text``. It raises nothing: whoever looks at the event ends."""
    with heard():
        check()
        now = _current
        if now is None or threading.current_thread() is not threading.main_thread():
            yield threading.Event()
            return
        now.answered, now.say = True, lambda: say(text)
        try:
            yield now.asked
        finally:
            now.say = None
