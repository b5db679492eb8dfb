"""Writing a picture or a page where a person said."""

from pathlib import Path

from cal_grpo.errors import UsageError
from cal_grpo.files import write_whole

_OWN = 55  # bytes by which a file of ours is known


def write_page(path: Path, text: str) -> None:
    """Write a file whole or not at all. One that begins as ``text`` does, an older page of ours, is replaced.

    Raises:
        UsageError: another file is there, or it cannot be written.
    """
    data = text.encode("utf-8", "replace")
    try:
        with path.open("rb") as file:
            ours = file.read(_OWN) == data[:_OWN]
    except FileNotFoundError:
        ours = True
    except OSError as e:
        raise UsageError(f"{path}: cannot be written ({e.strerror or e}); choose another --output") from e
    if not ours:
        raise UsageError(f"{path}: another file is there; choose another --output, or move it away")
    write_whole(path, data)
