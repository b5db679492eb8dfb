"""The exceptions that a person is meant to read."""

from numbers import Real


class UsageError(Exception):
    """Something the caller can fix: bad input, a missing key, an unknown name.

    The message is one line that says what was got, what was expected and what to do. The command line prints it
    without a traceback and exits with status 2.
    """


class RunFailed(Exception):
    """A run that was well asked for and must not go on. The message is one line; the command line exits with status 1.

    Attributes:
        stopped: why, in the words of ``summary.json``.
        updates: how many the run made before.
    """

    def __init__(self, message: str, stopped: str, updates: int) -> None:
        super().__init__(message)
        self.stopped, self.updates = stopped, updates


def one_line(text: str) -> str:
    """Text from outside as one line that a terminal can show: nothing in it is obeyed."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))


def require_positive(**numbers: float | None) -> None:
    """Check settings that are above 0 where they are set.

    Raises:
        UsageError: one is not; it is named.
    """
    for name, number in numbers.items():
        if number is not None and not (isinstance(number, Real) and number > 0):
            raise UsageError(f"{name} is {number!r}; expected a number above 0")
