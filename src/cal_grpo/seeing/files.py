"""Writing a picture or a page where a person said."""

import os
import tempfile
from pathlib import Path

from cal_grpo.errors import UsageError

_OWN = 55  # characters by which a file of ours is known


def write_page(path: Path, text: str) -> None:
    """Write a file whole or not at all. One that begins as ``text`` does, an older page of ours, is replaced.

    Raises:
        UsageError: another file is there, or it cannot be written.
    """
    try:
        if path.exists():
            with path.open("rb") as file:
                if file.read(_OWN) != text.encode("utf-8")[:_OWN]:
                    raise UsageError(f"{path}: another file is there; choose another --output, or move it away")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(0o666 & ~mask)  # mkstemp's own is for its user alone
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as e:
        raise UsageError(f"{path}: cannot be written ({e.strerror}); choose another --output") from e
