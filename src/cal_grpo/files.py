"""A file is written whole or not at all, a full disk is known, and a path means what a shell would make of it."""

import contextlib
import errno
import os
import re
import secrets
import tempfile
from pathlib import Path

from cal_grpo.errors import UsageError

_HINTS = {
    errno.ENOENT: "create its folder",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "see to the permissions there"),
}
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})")


def expanded_path(path: Path | str) -> Path:
    """A path with ``~`` and ``$VARIABLES`` filled in, where a config or ``--option=~/file`` keeps the shell from it.

    A path that is there as it is written is meant as it is written.

    Raises:
        UsageError: a variable is not set, or there is no such home.
    """
    text = str(path)
    if not text.startswith("~") and "$" not in text:
        return Path(path)
    try:
        if Path(text).exists():
            return Path(path)
        for match in _VARIABLE.finditer(text):
            if (name := match[1] or match[2]) not in os.environ:
                raise UsageError(f"path {text}: ${name} is not set; set it, or write the path out")
        return Path(os.path.expandvars(text)).expanduser()
    except (RuntimeError, OSError, ValueError) as e:  # RuntimeError: no home of that name
        raise UsageError(f"path {text}: {str(e).rstrip('.')}; write the path out") from e


def require_writable(folder: Path) -> None:
    """See that a folder is there to be written to, or can be made: by making one beside its place, and taking it away.

    Raises:
        UsageError: it is a file, or nothing can be written there.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    why = "is a file"
    if there.is_dir():
        try:
            os.rmdir(tempfile.mkdtemp(prefix=".cal-grpo-", dir=there))
        except OSError as e:  # os.access knows nothing of file systems that let nobody write
            why = f"cannot be written to: {e.strerror or e}"
        else:
            return
    raise UsageError(f"{folder}: cannot be created ({there} {why}); choose another --output")


def write_whole(path: Path, content: str | bytes) -> None:
    """Put a file in its place so that, whatever happens meanwhile, the old one is there or the new one, and never half of it.

    It is written beside its place, brought to the disk and then renamed; when this returns, a power cut takes nothing back.
    Its permissions are the umask's. A link is followed. A device or a pipe, such as ``/dev/null``, is written to and stays.

    Args:
        path: the file; its folder must be there.
        content: text is written as UTF-8.

    Raises:
        UsageError: it cannot be written. The old file is as it was.
        UnicodeEncodeError: text with half a surrogate pair in it. The old file is as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    place = Path(os.path.realpath(path))
    # A name of its own, for two processes may write one file; short, for the file's own may be as long as names can be.
    draft = place.with_name(f".cal-grpo-{secrets.token_hex(8)}")
    try:
        if place.exists() and not place.is_file():
            place.write_bytes(data)
            return
        try:
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(place)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
    except OSError as e:
        hint = _HINTS.get(e.errno or 0, "make room there")
        raise UsageError(f"{path}: cannot be written ({e.strerror or e}); {hint}, or choose another --output") from e
    sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Bring a new name to the disk, where the file system can do that: the file itself is safe already."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


_FULL = {
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "Disk quota exceeded",
    errno.EFBIG: "File too large",
}
_SAYS_FULL = re.compile("|".join(_FULL.values()), re.IGNORECASE)  # as the libraries that save in C++ and Rust hand it on


def disk_is_full(error: BaseException) -> str | None:
    """What the system said, where an error, or one that led to it, is of a disk that takes no more; else None."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and one.errno in _FULL:
            return _FULL[one.errno]
        if (said := _SAYS_FULL.search(str(one))) is not None:
            return said[0]
        waiting += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]
    return None
