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


def test_several_processes_share_one_file(tmp_path, make):
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
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]  # nobody was told of trouble
    cache = make()
    assert all(get(cache, i) is not None for i in range(100))
    assert cache_stats(tmp_path / "c.db")["verdicts"] == 100


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


def test_the_files_mode_is_the_users_own(make, tmp_path):
    put(make())
    assert stat.S_IMODE((tmp_path / "c.db").stat().st_mode) & 0o600 == 0o600
