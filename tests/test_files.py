"""A file is written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cal_grpo.errors import UsageError
from cal_grpo.files import disk_is_full, write_whole


def content(folder):
    return {file.name: file.read_text() for file in folder.iterdir()}


@pytest.fixture
def file(tmp_path):
    """A file that holds ``old``, alone in its folder."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    return path


def test_text_is_replaced_as_a_whole(tmp_path):
    write_whole(tmp_path / "a.txt", "one, and longer")
    write_whole(tmp_path / "a.txt", "two é")
    assert content(tmp_path) == {"a.txt": "two é"}
    write_whole(tmp_path / "a.txt", b"\xff\r\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xff\r\n"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError("no reason")])
def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(file, monkeypatch, error):
    def full(handle):
        raise error

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        UsageError, match=r"a\.txt: cannot be written \((No space left on device|no reason)\); make room"
    ) as caught:
        write_whole(file, "new")
    assert "\n" not in str(caught.value)
    assert content(file.parent) == {"a.txt": "old"}


def test_a_folder_that_is_not_there_is_to_be_made(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be written \(No such file or directory\); create its folder, or choose"):
        write_whole(tmp_path / "none" / "a.txt", "new")


def test_a_write_that_ends_midway_leaves_the_old_file_and_nothing_beside_it(file):
    code = (
        "import resource, sys; from pathlib import Path; from cal_grpo.files import disk_is_full, write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); write_whole(Path(sys.argv[1]), 'new' * 5000)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert "UsageError" in ended.stderr
    assert "cannot be written (File too large)" in ended.stderr
    assert content(file.parent) == {"a.txt": "old"}


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_interrupt_leaves_the_old_file_and_nothing_beside_it(file, monkeypatch, moment):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(*((os, "fsync") if moment == "fsync" else (Path, "replace")), interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(file, "new")
    monkeypatch.undo()
    assert content(file.parent) == {"a.txt": "old"}


def test_a_killed_writer_leaves_the_old_file(file):
    code = (
        "import os, sys; from pathlib import Path; from cal_grpo.files import disk_is_full, write_whole\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9); write_whole(Path(sys.argv[1]), 'new')"
    )
    assert subprocess.run([sys.executable, "-c", code, str(file)]).returncode == -9
    assert file.read_text() == "old"
    write_whole(file, "newer")
    assert file.read_text() == "newer"


def test_the_file_is_on_the_disk_before_its_name_and_the_name_before_the_return(file, monkeypatch):
    seen = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle):
        seen.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", lambda self, target: (seen.append("renamed"), replace(self, target)))
    write_whole(file, "new")
    assert seen == ["file", "renamed", "folder"]


def test_a_folder_that_cannot_be_synced_does_not_matter(file, monkeypatch):
    fsync = os.fsync
    calls = []

    def only_files(handle):
        calls.append(handle)
        if len(calls) > 1:
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_whole(file, "new")
    assert content(file.parent) == {"a.txt": "new"}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read_it(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_a_link_is_followed_and_a_name_may_be_as_long_as_names_can_be(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("a.txt")
    write_whole(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    write_whole(tmp_path / ("n" * 255), "new")


def test_a_place_that_takes_no_file_is_one_line(file, tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "none" / "a.txt", file / "a.txt", tmp_path / ("n" * 256)):
        with pytest.raises(UsageError, match="cannot be written"):
            write_whole(path, "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "folder"]
    assert not list((tmp_path / "folder").iterdir())


def test_half_a_surrogate_pair_leaves_the_old_file(file):
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "a \ud800 b")
    assert content(file.parent) == {"a.txt": "old"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "x"), "No space left on device"),
        (OSError(errno.EDQUOT, "x"), "Disk quota exceeded"),
        (OSError(errno.EACCES, "x"), None),
        (ValueError("RESOURCE_EXHAUSTED: Failed to write 9 bytes: No space left on device [28]"), "No space left on device"),
        (RuntimeError("IoError(Os { code: 28, message: No space left on device })"), "No space left on device"),
        (ExceptionGroup("two", [ValueError(), OSError(errno.EFBIG, "x")]), "File too large"),
        (ValueError("the file is not large"), None),
    ],
)  # fmt: skip
def test_a_full_disk_is_known_whoever_says_it_and_whatever_came_of_it(error, said):
    later = KeyError("consequence")
    later.__context__, error.__context__ = error, later  # a ring, as careless libraries make it
    assert disk_is_full(error) == disk_is_full(later) == said


def test_a_pipe_is_written_to_and_stays(tmp_path):
    """As a device does: whoever writes to /dev/null as root must not put a file there."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, "said")
    assert os.read(reader, 100) == b"said"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [one.name for one in tmp_path.iterdir()] == ["pipe"]
