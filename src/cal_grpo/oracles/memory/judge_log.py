"""The judge log: what was asked, answered and paid, a line each."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.files import sync_folder
from cal_grpo.jsonlines import JSONLWriter, scan_jsonl
from cal_grpo.oracles.memory.records import read_verdict, verdict_record
from cal_grpo.oracles.memory.to_disk import to_disk
from cal_grpo.oracles.types import Usage, Verdict


class JudgeLog:
    """Appends a JSON object a line: one for each call, and one for each answer that needed none of its own.

    ``final`` marks what whoever asked was told: a line each. All others are calls: those that were tried again, and those of
    the oracles that make up a cascade or a vote, whose ``leaf`` says which. A plain oracle's answer and its last call are one
    line. The lines add up to what was spent. Keys and headers never reach this class.

    A call's line is on the disk before its answer is used: a verdict costs more than an fsync, and without a cache it lies
    nowhere else. It is written on a thread: an event loop never waits for a disk.

    Args:
        tell: hears once when the file cannot be written; the run goes on.

    Nothing is written before ``write_to`` names a file.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.path: Path | None = None
        self._tell = tell
        self._file: JSONLWriter | None = None
        self._broken = False
        self._lock = threading.Lock()

    def write_to(self, path: Path) -> None:
        """From now on to this file, which is created when the first line is written."""
        self.close()
        self.path, self._broken = path, False

    async def write(self, request: str, identity: Mapping[str, str], verdict: Verdict, attempt: int, final: bool) -> None:
        """One line: on the disk when this returns where it is a call's, else the operating system's.

        Args:
            request: the query's digest.
            identity: who was asked, such as oracle and model, and which leaf.
            verdict: what came, with the usage of this call alone. One that is cached costs nothing now.
            attempt: number of the call for this question, from 1; 0 where there was none.
            final: whether this is the answer that is used.
        """
        if self._broken or self.path is None:
            return
        if verdict.cached:
            verdict = replace(verdict, usage=Usage())
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        head = {"time": now, "request": request} | dict(identity)
        record = head | {"attempt": attempt, "final": final, "cached": verdict.cached} | verdict_record(verdict)
        await to_disk(self._append, record, lasting=verdict.usage.calls > 0)

    def _append(self, record: Mapping[str, Any], lasting: bool) -> None:
        with self._lock:
            path = self.path
            if self._broken or path is None:
                return
            try:
                if self._file is None:
                    _end_torn_line(path)
                    self._file = JSONLWriter(path, ascii_only=True)
                    sync_folder(path.parent)
                self._file.write(record, lasting=lasting)
            except OSError as e:
                self._broken = True
                self._tell(
                    f"judge log {path} cannot be written ({e.strerror or e}); going on without it: a resumed run asks again "
                    "what comes now, unless the cache has it"
                )

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def _end_torn_line(path: Path) -> None:
    """What a killed process was writing is a line of its own."""
    if path.exists() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")


def read_log(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The lines of a judge log. One that was cut off is left out: the run was killed before it used that answer.

    Args:
        path: the file.
        name: what to call it in a message.

    Raises:
        UsageError: the log cannot be read, or a line is not a judge log's.
    """
    try:
        for line in scan_jsonl(path):
            if line.fault in ("blank", "syntax"):  # cut off, and perhaps gone on behind it
                continue
            where = f"{name} {path}, line {line.number}"
            if line.fault == "bytes":
                raise UsageError(f"{where}: {line.reason}; expected a run's judge.jsonl")
            try:
                if line.row is None:
                    raise ValueError(line.reason)
                read_verdict(line.row)
                if not isinstance(line.row["request"], str) or not isinstance(line.row["final"], bool):
                    raise ValueError("request and final have other types")
                if type(line.row.setdefault("attempt", 0)) is not int:
                    raise ValueError("attempt is no number")
            except (ValueError, KeyError) as e:
                raise UsageError(f"{where}: not a judge log's line ({e}); expected a judge.jsonl") from e
            yield line.row
    except OSError as e:
        raise UsageError(f"{name} {path}: cannot be read ({e.strerror or e}); expected a run's judge.jsonl") from e
