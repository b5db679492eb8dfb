"""The one exception that a person is meant to read."""


class UsageError(Exception):
    """Something the caller can fix: bad input, a missing key, an unknown name.

    The message is one line that says what was got, what was expected and what to do. The command line prints it
    without a traceback and exits with status 2.
    """
