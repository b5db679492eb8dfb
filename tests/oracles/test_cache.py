"""Verdicts on disk: addressed by content, shared by processes, and never in the way of a run."""

import contextlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time

import pytest
from _judge_server import answer, error, verdict

from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query, Tag, Usage, Verdict
from cal_grpo.oracles.memory import cache_file as cache_module
from cal_grpo.oracles.memory import file_systems
from cal_grpo.oracles.memory.cache import VerdictCache
from cal_grpo.oracles.memory.cache_admin import cache_stats, export_cache, prune_cache
from cal_grpo.oracles.memory.cache_file import CacheFile, connect, default_cache
from cal_grpo.oracles.memory.records import request_digest

IDENTITY = {"oracle": "openai", "model": "m"}
FOUND = Verdict(Tag.FOUND, "critique", "segment", "hint", 0.5, Usage(1, 10, 5, 0.25, 1.5))


def query(i=0):
    return Query(f"q{i}", "r", "x")


@pytest.fixture
def make(tmp_path, told):
    made = []

    def make_cache(name="c.db", **identity):
        made.append(CacheFile(tmp_path / name, told.append))
        cache = VerdictCache(made[-1], IDENTITY | identity)
        cache.close = made[-1].close
        return cache

    yield make_cache
    for cache in made:
        cache.close()


def put(cache, i=0, stored=FOUND):
    cache.put(request_digest(query(i)), query(i), stored)


def get(cache, i=0):
    return cache.get(request_digest(query(i)))


def test_a_verdict_survives_whole_and_is_marked(make):
    put(make())
    kept = get(make())
    assert kept == Verdict(Tag.FOUND, "critique", "segment", "hint", 0.5, Usage(1, 10, 5, 0.25, 1.5), cached=True)
    assert get(make(), 1) is None


def test_everything_that_decides_the_answer_is_in_the_address(make):
    put(make())
    for other in ({"oracle": "gemini"}, {"model": "n"}, {"prompt": "2"}, {"sampling": "t=1"}):
        assert get(make(**other)) is None
    texts = ["q", "r", "x"]
    digests = {request_digest(Query(*texts))}
    for i in range(3):
        digests.add(request_digest(Query(*[t + "'" if i == j else t for j, t in enumerate(texts)])))
    digests.add(request_digest(Query("qr", "", "x")))
    assert len(digests) == 5


def test_a_failure_is_refused(make):
    with pytest.raises(ValueError, match="never stored"):
        put(make(), stored=Verdict(Tag.TIMEOUT))


def test_the_oracle_uses_it_in_the_next_run_and_stores_before_use(connect, ask, server, tmp_path):
    file = tmp_path / "new" / "c.db"
    server.script = lambda r: error(r, 403) if "1+1" in r.response else answer(r, verdict("0+1=2"))
    first = connect(cache=file).locate([ask(0), ask(1)])
    assert [v.tag for v in first] == [Tag.FOUND, Tag.REJECTED]
    assert [row["question"] for row in export_cache(file)] == [ask(0).question]  # still open, already there
    again = connect(cache=file)
    assert again.locate([ask(0)])[0].cached
    assert again.spent.calls == 0
    assert len(server.requests) == 2


@pytest.mark.parametrize("change", [{"model": "n"}, {"few_shot": True}])
def test_another_model_or_few_shot_set_is_asked_anew(connect, ask, server, tmp_path, change):
    shots = tmp_path / "shots.json"
    shot = {"question": "1+1?", "correct_solution": "2", "incorrect_solution": "3", "error_segment": "3"}
    shots.write_text(json.dumps([shot]))
    connect(cache=tmp_path / "c.db").locate([ask()])
    connect(cache=tmp_path / "c.db", **{k: shots if k == "few_shot" else v for k, v in change.items()}).locate([ask()])
    assert len(server.requests) == 2


@pytest.mark.parametrize("damage", [lambda f: f.write_bytes(b"no database at all" * 99), lambda f: overwrite(f, 100)])
def test_a_corrupt_cache_is_kept_aside_and_told_once(make, tmp_path, told, damage):
    cache = make()
    for i in range(50):
        put(cache, i)
    cache.close()
    damage(tmp_path / "c.db")
    broken = (tmp_path / "c.db").read_bytes()
    cache = make()
    put(cache, 1)
    assert get(cache, 1).segment == "segment"
    assert len(told) == 1
    assert "is corrupt" in told[0]
    kept = [f for f in tmp_path.iterdir() if ".corrupt-" in f.name and f.suffix != ".corrupt-wal"]
    assert broken in [f.read_bytes() for f in kept]
    assert get(make(), 1) is not None


def overwrite(file, start):
    data = bytearray(file.read_bytes())
    data[start : start + 8000] = os.urandom(8000)
    file.write_bytes(bytes(data))


def test_a_locked_cache_is_set_aside_told_once_and_caught_up_with(make, tmp_path, told, monkeypatch):
    monkeypatch.setattr(cache_module, "_BUSY_S", 0.05)
    monkeypatch.setattr(cache_module, "_REST_S", 0.3)
    put(make(), 7)
    other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    other.execute("begin exclusive")
    cache = make()
    for i in range(3):
        put(cache, i)
    assert len(told) == 1
    assert "cannot be used (database is locked)" in told[0]
    other.execute("rollback")
    other.close()
    time.sleep(0.35)
    put(cache, 3)
    assert all(get(cache, i) is not None for i in (0, 1, 2, 3, 7))


def test_a_lock_that_ends_with_the_run_loses_nothing(make, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_BUSY_S", 0.05)
    cache = make()
    other = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    other.execute("begin exclusive")
    put(cache)
    other.close()
    cache.close()
    assert get(make()) is not None


def test_a_place_that_cannot_be_written_is_told_and_the_run_goes_on(connect, ask, tmp_path, told):
    (tmp_path / "file").write_text("x")
    oracle = connect(cache=tmp_path / "file" / "c.db")
    assert oracle.locate([ask()])[0].tag is Tag.FOUND
    assert len(told) == 1
    assert "cannot be used" in told[0]


def test_another_programs_database_is_refused_and_left_as_it_was(make, tmp_path):
    with sqlite3.connect(tmp_path / "c.db") as other:
        other.execute("create table theirs (x)")
    other.close()
    before = (tmp_path / "c.db").read_bytes()
    with pytest.raises(UsageError, match="another program's database"):
        make()
    assert (tmp_path / "c.db").read_bytes() == before


def test_a_later_versions_cache_is_refused(make, tmp_path):
    make().close()
    connection = connect(tmp_path / "c.db")
    connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(UsageError, match="has version 99"):
        make()


def test_a_row_that_cannot_be_read_is_asked_again(make, tmp_path):
    cache = make()
    put(cache)
    for nonsense in ("{", "[]", "{}", json.dumps({"tag": "nonsense"})):
        with sqlite3.connect(tmp_path / "c.db") as other:
            other.execute("update verdicts set verdict = ?", (nonsense,))
        other.close()
        assert get(cache) is None
    put(cache)
    assert get(cache) is not None


def test_texts_that_utf8_cannot_encode_are_stored(make):
    cache = make()
    odd = Query("\ud800", "r", "x\udfff")
    cache.put(request_digest(odd), odd, FOUND)
    assert cache.get(request_digest(odd)) is not None


WRITE_MANY = """
import sys
from pathlib import Path
from cal_grpo.oracles import Query, Tag, Verdict
from cal_grpo.oracles.memory.cache import VerdictCache
from cal_grpo.oracles.memory.cache_file import CacheFile
from cal_grpo.oracles.memory.records import request_digest

told = []
print("ready", flush=True)
sys.stdin.readline()
file = CacheFile(Path(sys.argv[1]), told.append)
cache = VerdictCache(file, {"oracle": "openai", "model": "m"})
for i in range(40):
    query = Query(f"q{int(sys.argv[2]) * 20 + i}", "r", "x")  # half of them are the next worker's too
    cache.put(request_digest(query), query, Verdict(Tag.FOUND, "critique", "segment"))
file.close()
sys.exit(len(told))
"""


def run_workers(tmp_path):
    """Four processes that write at the same time; how often each was told of trouble."""
    command = [sys.executable, "-c", WRITE_MANY, str(tmp_path / "c.db")]
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for n in range(4)
        ]
        for worker in workers:
            worker.stdout.readline()
        for worker in workers:
            worker.communicate("go\n", timeout=30)
    return [worker.returncode for worker in workers]


def test_several_processes_share_one_file(tmp_path, make):
    assert run_workers(tmp_path) == [0, 0, 0, 0]
    cache = make()
    assert all(get(cache, i) is not None for i in range(100))
    assert cache_stats(tmp_path / "c.db")["verdicts"] == 100


def test_a_verdict_is_brought_to_the_disk_before_it_is_used(tmp_path):
    for _ in "created", "opened":  # a setting of the connection, not of the file
        with contextlib.closing(connect(tmp_path / "c.db")) as connection:
            assert connection.execute("pragma synchronous").fetchone() == (2,)  # full


def test_where_the_users_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "cal-grpo" / "verdicts.db"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "cal-grpo" / "verdicts.db"


def test_free_providers_write_no_cache_and_objects_need_an_identity(tmp_path, ask):
    class Nameless:
        name = "mine"

        async def locate(self, query):
            return Verdict(Tag.NO_ERROR)

    with CALOracle("reference", cache=tmp_path / "c.db") as oracle:
        oracle.locate([ask()])
    assert not (tmp_path / "c.db").exists()
    with pytest.raises(UsageError, match="oracle 'mine' has no identity"):
        CALOracle(Nameless(), cache=tmp_path / "c.db")
    mine = Nameless()
    mine.identity = {"oracle": "mine", "model": "1"}
    for cached in (False, True):
        with CALOracle(mine, cache=tmp_path / "c.db") as oracle:
            assert oracle.locate([ask()])[0].cached == cached


def test_stats_export_and_prune(make, tmp_path):
    file = tmp_path / "c.db"
    first, second = make(), make(model="n")
    for i in range(3):
        put(first, i)
    put(second, 0, Verdict(Tag.NO_ERROR, usage=Usage(2, 10, 5, None, 1.0)))
    found = cache_stats(file)
    assert found["verdicts"] == 4
    assert found["bytes"] >= file.stat().st_size
    by_model = {row["model"]: row for row in found["oracles"]}
    assert [by_model["m"][k] for k in ("verdicts", "found", "calls", "tokens", "usd")] == [3, 3, 3, 45, 0.75]
    assert [by_model["n"][k] for k in ("verdicts", "found", "calls", "tokens", "usd")] == [1, 0, 2, 15, None]
    rows = list(export_cache(file))
    assert [(r["question"], r["tag"], r["oracle"]["model"]) for r in rows if r["oracle"]["model"] == "n"] == [
        ("q0", "no_error", "n")
    ]
    assert len(rows) == 4
    assert prune_cache(file, older_than_days=1) == 0
    assert prune_cache(file, model="m", dry_run=True) == 3
    assert prune_cache(file, older_than_days=0.0, model="x") == 0
    assert prune_cache(file, model="m", oracle="openai") == 3
    assert [row["oracle"]["model"] for row in export_cache(file)] == ["n"]
    assert prune_cache(file) == 1
    for reader in (cache_stats, prune_cache, lambda f: list(export_cache(f))):
        with pytest.raises(UsageError, match="no such file"):
            reader(tmp_path / "nowhere.db")
        (tmp_path / "bad.db").write_text("x" * 5000)
        with pytest.raises(UsageError, match="cannot be read"):
            reader(tmp_path / "bad.db")


def test_nobody_else_may_read_the_file_whatever_the_umask(make, tmp_path):
    before = os.umask(0)
    try:
        put(make())
        assert {f.name: stat.S_IMODE(f.stat().st_mode) for f in tmp_path.iterdir()} == dict.fromkeys(
            ["c.db", "c.db-wal", "c.db-shm"], 0o600
        )
    finally:
        os.umask(before)


def corrupt(tmp_path):
    return [f for f in tmp_path.iterdir() if ".corrupt-" in f.name and not f.name.endswith(("-wal", "-shm"))]


def test_a_corrupt_cache_is_set_aside_once_though_several_have_it_open(make, tmp_path, told):
    caches = [make() for _ in range(3)]
    for i in range(50):
        put(caches[0], i)
    assert all(get(cache, 1) is not None for cache in caches)
    with sqlite3.connect(tmp_path / "c.db") as other:
        other.execute("pragma wal_checkpoint(truncate)")
    other.close()
    (tmp_path / "c.db").write_bytes(b"no database at all" * 9999)
    for i, cache in enumerate(caches):
        put(cache, 100 + i)
    assert [get(cache, 100 + i).segment for cache in caches for i in range(3)] == ["segment"] * 9
    assert len(corrupt(tmp_path)) == len(told) == 1


def test_a_new_cache_is_not_set_aside_by_one_who_read_the_corrupt_one(make, tmp_path, told):
    late = CacheFile(tmp_path / "c.db", told.append)

    def read_too_late(connection):
        """The file breaks, another one begins a new one, and only then this one hears that what it read is broken."""
        if not corrupt(tmp_path):
            connection.close()
            (tmp_path / "c.db").write_bytes(b"no database at all" * 9999)
            put(make())
            with contextlib.closing(sqlite3.connect(corrupt(tmp_path)[0])) as broken:
                broken.execute("select * from verdicts")
        return get(make())

    assert late._try(read_too_late).segment == "segment"
    assert len(corrupt(tmp_path)) == len(told) == 1
    late.close()


def test_several_processes_set_a_corrupt_cache_aside_once(tmp_path, make):
    (tmp_path / "c.db").write_bytes(b"no database at all" * 99)
    told = run_workers(tmp_path)
    assert sorted(told) == [0, 0, 0, 1]
    assert len(corrupt(tmp_path)) == 1
    cache = make()
    assert all(get(cache, i) is not None for i in range(100))


def test_a_file_that_was_moved_away_is_begun_anew(make, tmp_path, told):
    cache = make()
    put(cache, 1)
    for file in list(tmp_path.iterdir()):
        file.rename(file.with_name(file.name.replace("c.db", "old.db")))
    put(cache, 2)
    assert (get(cache, 1), get(make(), 2) is not None, told) == (None, True, [])


MOUNTS = r"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / {0}/far rw shared:1 - nfs4 server:/x rw
31 30 0:41 / {0}/far/near rw - tmpfs tmpfs rw
32 22 0:42 / {0}/a\040b rw - fuse.sshfs me@host: rw
33 22 0:43 / {0}/covered rw - cifs //server/x rw
34 22 0:44 / {0}/covered rw - xfs /dev/sdb rw
35 22 0:45 / {0}/far_away rw - btrfs /dev/sdc rw
a line of another kind
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("far", "nfs4"),
        ("far/new/deep", "nfs4"),
        ("far/near", None),
        ("a b", "fuse.sshfs"),
        ("covered", None),
        ("far_away", None),
    ],
)
def test_a_cache_that_machines_share_has_a_journal_and_says_so(make, tmp_path, told, monkeypatch, folder, kind):
    (tmp_path / "mountinfo").write_text(MOUNTS.replace("{0}", str(tmp_path)))
    monkeypatch.setattr(file_systems, "_MOUNTS", tmp_path / "mountinfo")
    cache = make(f"{folder}/c.db")
    put(cache)
    assert get(cache) is not None
    with sqlite3.connect(tmp_path / folder / "c.db") as other:
        assert other.execute("pragma journal_mode").fetchone() == ("delete" if kind else "wal",)
    other.close()
    assert [f"lies on {kind}, which other machines may share" in line for line in told] == ([True] if kind else [])


def test_where_nothing_is_known_of_mounts_a_file_is_local(make, tmp_path, monkeypatch):
    monkeypatch.setattr(file_systems, "_MOUNTS", tmp_path / "none")
    assert file_systems.shared_file_system(tmp_path) is None
