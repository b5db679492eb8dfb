"""A folder is one process's while it is written."""

import itertools
from pathlib import Path
from typing import IO, Any

from cal_grpo.errors import UsageError

LOCK = ".lock"


def new_folder(parent: Path, name: str) -> Path:
    """A folder that was not there before: of that name, or with a number behind it where another process was quicker.

    Raises:
        UsageError: it cannot be created.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as e:
        raise UsageError(f"{parent / name}: cannot be created ({e.strerror or e}); choose another --output") from e
    raise AssertionError("there is always a next number")


def claim(folder: Path) -> IO[Any]:
    """Create a folder, if need be, and keep other processes from writing it until the file that is returned is closed.

    The lock lies in a file of its own, which is there before anything of a run is opened or removed, and stays: whoever
    removed it could let two processes hold two of them. The operating system releases it when the process dies.

    Raises:
        UsageError: another process is writing the folder, or it cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    except OSError as e:
        raise UsageError(f"{folder}: cannot be created or written to ({e.strerror or e}); choose another --output") from e
    try:
        import fcntl
    except ImportError:  # there is none on Windows
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        file.close()
        raise UsageError(f"{folder} is being written by another process; stop that one, or choose another folder") from e
    except OSError:  # a file system without locks
        pass
    return file
