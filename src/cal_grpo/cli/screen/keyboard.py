"""Single keys from a terminal."""

import codecs
import contextlib
import os
import re
import select
import sys
from collections.abc import Callable, Iterator

from cal_grpo.errors import UsageError

_KEY = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|.", re.DOTALL)
_ESCAPE_S = 0.05  # a terminal sends the rest of an escape sequence within that; a person's Escape is alone


@contextlib.contextmanager
def keys() -> Iterator[Callable[[], list[str]]]:
    """A function that waits for keys: characters, and escape sequences whole; none at the end of the input.

    Raises:
        UsageError: the system has no such terminals.
    """
    try:
        import termios
        import tty
    except ImportError as e:
        raise UsageError("browsing needs a Unix terminal; expected one; use --plain or --json here") from e
    fd = sys.stdin.fileno()
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    def read() -> list[str]:
        text = ""
        while not text:
            got = os.read(fd, 1024)
            if not got:
                return []
            text = decoder.decode(got)
            while re.search(r"\x1b(\[[0-9;]*|O)?$", text) and select.select([fd], [], [], _ESCAPE_S)[0]:
                text += decoder.decode(os.read(fd, 1024))
        return _KEY.findall(text)

    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield read
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
