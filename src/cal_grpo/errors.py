"""The one exception that a person is meant to read."""


class UsageError(Exception):
    """Something the caller can fix: bad input, a missing key, an unknown name.

    The message is one line that says what was got, what was expected and what to do. The command line prints it
    without a traceback and exits with status 2.
    """


def require_positive(**numbers: float | None) -> None:
    """Check settings that are above 0 where they are set.

    Raises:
        UsageError: one is not; it is named.
    """
    for name, number in numbers.items():
        if number is not None and not number > 0:
            raise UsageError(f"{name} is {number}; expected a number above 0")
