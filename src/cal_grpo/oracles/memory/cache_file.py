"""The file that holds verdicts: an SQLite database, shared by any number of processes.

In WAL mode, so that readers and the writer do not wait for each other; on a network file system, where that would need memory
that machines share, with a journal (https://sqlite.org/wal.html).
"""

import contextlib
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cal_grpo.errors import UsageError
from cal_grpo.oracles.memory.file_systems import shared_file_system

_APPLICATION_ID = 0x43414C47  # "CALG"
_VERSION = 1
_BUSY_S = 5.0  # wait for another process's lock
_REST_S = 60.0  # before a cache that could not be used is tried again
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
create table if not exists oracles (oracle text primary key, identity text not null);
create table if not exists verdicts (
    oracle text not null, request text not null, question text not null, reference text not null, response text not null,
    verdict text not null, stored_at text not null, primary key (oracle, request)
);
"""
Row = tuple[str, str, str, str, str, str, str]
_T = TypeVar("_T")


def default_cache() -> Path:
    """The user's own cache file, where the operating system keeps caches."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "cal-grpo" / "verdicts.db"


def connect(path: Path) -> sqlite3.Connection:
    """Open a cache, creating it where there is none.

    Raises:
        UsageError: the file is another program's database, or a later version's cache.
        sqlite3.DatabaseError: it is corrupt, locked or cannot be opened.
        OSError: it cannot be created.
    """
    with contextlib.suppress(FileExistsError):  # questions and answers are the user's own; SQLite's other files follow it
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("begin immediate")  # one process at a time looks and creates
        application = connection.execute("pragma application_id").fetchone()[0]
        version = connection.execute("pragma user_version").fetchone()[0]
        if connection.execute("select count(*) from sqlite_master").fetchone() == (0,):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"pragma application_id = {_APPLICATION_ID}")
            connection.execute(f"pragma user_version = {_VERSION}")
        elif application != _APPLICATION_ID:
            raise UsageError(f"cache {path} is another program's database; name another file")
        elif version > _VERSION:
            raise UsageError(
                f"cache {path} has version {version}, this program knows {_VERSION}; update it or name another file"
            )
        connection.execute("commit")
        journal = "delete" if shared_file_system(path) else "wal"
        if connection.execute("pragma journal_mode").fetchone() != (journal,):
            connection.execute(f"pragma journal_mode = {journal}")
        connection.execute("pragma synchronous = full")  # a verdict costs more than an fsync
    except BaseException:
        connection.close()
        raise
    return connection


class CacheFile:
    """A process's one connection to a cache file; safe from any thread.

    A cache that is corrupt is renamed and a new one begun, by the first process that finds out; the others go on in the new
    one. One that cannot be used (locked, read-only, disk full) is tried again every minute, and what was to be stored
    meanwhile is stored then. Either is told once and nothing is deleted; no method fails for it.

    Args:
        path: the file; its folder is created.
        tell: hears, in one line, when the cache is set aside.

    Raises:
        UsageError: the file is another program's database, or a later version's cache.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.path, self._tell = path, tell
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None  # of the file that is open
        self._resume_at, self._told = 0.0, False
        self._unsaved: list[tuple[str, Row]] = []
        if (kind := shared_file_system(path)) is not None:
            tell(
                f"cache {path} lies on {kind}, which other machines may share: it is written with a journal instead of WAL, "
                "more slowly; oracle.cache=FILE on a local disk is faster"
            )
        self._try(lambda connection: None)

    def find(self, oracle: str, request: str) -> str | None:
        """The verdict's JSON of an oracle's digest and a request's; None where there is none."""
        question = "select verdict from verdicts where oracle = ? and request = ?"
        row = self._try(lambda connection: connection.execute(question, (oracle, request)).fetchone())
        return None if row is None else str(row[0])

    def store(self, identity: str, row: Row) -> None:
        """Store a row of an oracle whose identity is given as JSON; it is on disk when this returns."""
        with self._lock:
            self._unsaved.append((identity, row))
        self._try(self._save)

    def close(self) -> None:
        """Store what could not be stored before, if that is possible now, and close the file."""
        if self._unsaved:
            self._resume_at = 0.0
            self._try(self._save)
        with self._lock:
            self._drop()

    def _save(self, connection: sqlite3.Connection) -> None:
        with connection:
            connection.execute("begin immediate")
            for identity, row in self._unsaved:
                connection.execute("insert or ignore into oracles values (?, ?)", (row[0], identity))
                connection.execute("insert or replace into verdicts values (?, ?, ?, ?, ?, ?, ?)", row)
        self._unsaved.clear()

    def _try(self, action: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """The action's result, or None where the cache is set aside."""
        with self._lock:
            for _ in range(2):  # a second time on a new file, where the old one is corrupt
                if time.monotonic() < self._resume_at:
                    return None
                try:
                    result = action(self._open())
                    self._told = False
                    return result
                except (sqlite3.Error, OSError) as e:
                    self._set_aside(e)
            return None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and _inode(self.path) != self._inode:  # another process has set it aside
            self._drop()
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._inode = _inode(self.path)
            self._connection = connect(self.path)
            if self._inode is None:
                self._inode = _inode(self.path)
        return self._connection

    def _drop(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
        self._connection = None

    def _set_aside(self, error: Exception) -> None:
        self._drop()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
            with contextlib.suppress(OSError), _alone_in(self.path.parent):
                if _inode(self.path) == self._inode:  # else another process was quicker, and the file is a new one
                    kept = self.path.with_name(f"{self.path.name}.corrupt-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}")
                    for suffix in ("-wal", "-shm", ""):
                        if (part := self.path.with_name(self.path.name + suffix)).exists():
                            part.rename(f"{kept}{suffix}")
                    self._tell(f"cache {self.path} is corrupt ({error}); it is kept as {kept.name}, and a new one is begun")
                return
        self._resume_at = time.monotonic() + _REST_S
        if not self._told:
            self._told = True
            self._tell(f"cache {self.path} cannot be used ({error}); going on without it, trying again every {_REST_S:.0f} s")


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """While this is held, no other process holds it for the same folder."""
    try:
        import fcntl
    except ImportError:  # there is none on Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
