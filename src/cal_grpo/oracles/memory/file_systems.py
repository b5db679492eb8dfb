"""Where a file lies: on a disk of this machine, or on one that other machines write too."""

import re
from pathlib import Path

_SHARED = re.compile(r"nfs\d?|cifs|smb\w*|afs|9p|virtiofs|ncpfs|ceph|lustre|gpfs|beegfs\w*|glusterfs|orangefs|fuse\.\S+")
_MOUNTS = Path("/proc/self/mountinfo")  # Linux; elsewhere nothing is known


def shared_file_system(path: Path) -> str | None:
    """The kind of file system on which a file lies or would lie, such as ``nfs4``, if other machines may share it.

    None where it is a local one or not known. What lies behind a program (``fuse.sshfs``) counts as shared.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place, found, longest = path.resolve(), None, -1
    for line in mounts:
        # "36 35 98:0 /root /mount/point options [optional ...] - type source options"
        head, _, tail = line.partition(" - ")
        fields = head.split(" ")
        if len(fields) < 5 or not tail:
            continue
        point = Path(_unescaped(fields[4]))
        if place.is_relative_to(point) and len(point.parts) >= longest:  # of two on one point, the later hides the earlier
            found, longest = tail.split(" ")[0], len(point.parts)
    return found if found is not None and _SHARED.fullmatch(found) else None


def _unescaped(text: str) -> str:
    """The kernel spells a space as ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
