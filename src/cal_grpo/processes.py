"""Which process of a job this is, before anything heavy is imported."""

import os


def leads() -> bool:
    """Whether this is the process that writes, asks and speaks: the only one, or the first that a launcher started."""
    return os.environ.get("RANK", "0") == "0"
