"""A folder or file in pieces that can be carried, and whole again at the other end. Standard library only.

    python pieces.py split SOURCE --to DIR [--bytes 60000000]   # DIR/piece-000 ... and DIR/pieces.json
    python pieces.py join DIR --to TARGET                       # verified, then unpacked into TARGET

``pieces.json`` holds each piece's SHA-256 and that of all. A piece that is missing or damaged stops ``join`` with a line for
each, before anything is unpacked. A TARGET that is there is left as it is.
"""

import argparse
import hashlib
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

LIST = "pieces.json"
_BLOCK = 1 << 20


class _Split(io.RawIOBase):
    """Writes a stream to files of at most so many bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.whole, self.sums, self.size = hashlib.sha256(), [], 0  # type: ignore[var-annotated]
        self._left = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        self.whole.update(rest)
        self.size += len(rest)
        while rest:
            if not self._left:
                self.sums.append(hashlib.sha256())
                self._left = self.limit
            part, rest = rest[: self._left], rest[self._left :]
            with (self.folder / _name(len(self.sums) - 1)).open("ab") as file:
                file.write(part)
            self.sums[-1].update(part)
            self._left -= len(part)
        return len(data)


class _Joined(io.RawIOBase):
    """Reads files one behind the other."""

    def __init__(self, files: list[Path]) -> None:
        self._blocks = (block for file in files for block in _blocks(file))
        self._block = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._block:
            self._block = next(self._blocks, b"")
        count = min(len(buffer), len(self._block))
        buffer[:count], self._block = self._block[:count], self._block[count:]
        return count


def split(source: Path, folder: Path, limit: int) -> int:
    """Write the pieces of a file or folder; returns how many.

    Raises:
        ValueError: ``limit`` is below 1, there is no source, or ``folder`` holds pieces.
    """
    if limit < 1 or not source.exists():
        raise ValueError(f"got {source} and {limit} bytes; expected a file or folder and 1 or more")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("piece-*")) or (folder / LIST).exists():
        raise ValueError(f"{folder} holds pieces; choose another folder")
    stream = _Split(folder, limit)
    with tarfile.open(fileobj=cast(Any, stream), mode="w|") as archive:
        # Links of a hub's cache become files.
        archive.dereference = True
        archive.add(source, arcname=source.name if source.is_file() else ".")
    names = {_name(i): one.hexdigest() for i, one in enumerate(stream.sums)}
    told = {"sha256": stream.whole.hexdigest(), "bytes": stream.size, "pieces": names}
    (folder / LIST).write_text(json.dumps(told, indent=2))
    return len(names)


def join(folder: Path, target: Path) -> None:
    """Verify the pieces and unpack them.

    Raises:
        ValueError: pieces that are missing or damaged, by name, or a whole that is another.
    """
    if target.exists():
        return
    told = json.loads((folder / LIST).read_text())
    wrong, whole = [], hashlib.sha256()
    for name, expected in told["pieces"].items():
        if not (folder / name).is_file():
            wrong.append(f"{name} is missing")
            continue
        own = hashlib.sha256()
        for block in _blocks(folder / name):
            own.update(block)
            whole.update(block)
        if own.hexdigest() != expected:
            wrong.append(f"{name} is damaged")
    if not wrong and whole.hexdigest() != told["sha256"]:
        wrong.append("the pieces are not of one whole")
    if wrong:
        raise ValueError("\n".join(f"{folder}: {one}" for one in wrong))
    unpacked = target.with_name(f"{target.name}.unpacking")
    shutil.rmtree(unpacked, ignore_errors=True)
    stream = io.BufferedReader(_Joined([folder / name for name in told["pieces"]]), _BLOCK)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        archive.extractall(unpacked, filter="data")
    unpacked.rename(target)


def _name(number: int) -> str:
    return f"piece-{number:03d}"


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            yield block


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["split", "join"])
    parser.add_argument("source", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--bytes", type=int, default=60_000_000)
    args = parser.parse_args()
    try:
        if args.what == "split":
            print(f"{split(args.source, args.to, args.bytes)} pieces in {args.to}")
        else:
            join(args.source, args.to)
            print(f"{args.to} is whole")
    except (ValueError, OSError) as e:
        sys.exit(f"pieces: {e}")


if __name__ == "__main__":
    main()
