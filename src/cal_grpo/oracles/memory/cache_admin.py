"""Looking into a cache of verdicts, taking them out, and throwing them away."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError
from cal_grpo.oracles.memory.cache_file import connect

_TOTALS = """
select o.identity, count(*), sum(json_extract(v.verdict, '$.tag') = 'found'), sum(json_extract(v.verdict, '$.calls')),
    sum(json_extract(v.verdict, '$.prompt_tokens') + json_extract(v.verdict, '$.completion_tokens')),
    sum(json_extract(v.verdict, '$.usd')), min(v.stored_at), max(v.stored_at)
from verdicts v join oracles o using (oracle) group by v.oracle order by max(v.stored_at) desc
"""
_ROWS = """
select o.identity, v.request, v.question, v.reference, v.response, v.verdict, v.stored_at
from verdicts v join oracles o using (oracle) order by v.stored_at, v.request
"""


def cache_stats(path: Path) -> dict[str, Any]:
    """What a cache holds: its size in bytes, and for each oracle the verdicts and what they had cost.

    Raises:
        UsageError: there is no such cache, or it cannot be read. So do the other functions here.
    """
    with _opened(path) as connection:
        names = ("verdicts", "found", "calls", "tokens", "usd", "oldest", "newest")
        oracles = [json.loads(row[0]) | dict(zip(names, row[1:], strict=True)) for row in connection.execute(_TOTALS)]
    size = sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*") if part.name in _parts(path))
    return {"file": str(path), "bytes": size, "verdicts": sum(o["verdicts"] for o in oracles), "oracles": oracles}


def export_cache(path: Path) -> Iterator[dict[str, Any]]:
    """Every verdict with its query and oracle, oldest first."""
    with _opened(path) as connection:
        for identity, request, question, reference, response, verdict, stored_at in connection.execute(_ROWS):
            texts = {"question": question, "reference": reference, "response": response}
            yield {"oracle": json.loads(identity), "request": request, "stored_at": stored_at} | texts | json.loads(verdict)


def prune_cache(
    path: Path,
    older_than_days: float | None = None,
    oracle: str | None = None,
    model: str | None = None,
    dry_run: bool = False,
) -> int:
    """Delete the verdicts that meet all the given conditions; without any, all. Returns how many."""
    conditions, values = ["true"], []
    if older_than_days is not None:
        conditions.append("stored_at < ?")
        values.append((datetime.now(UTC) - timedelta(days=older_than_days)).isoformat(timespec="seconds"))
    for name, value in (("oracle", oracle), ("model", model)):
        if value is not None:
            conditions.append(f"oracle in (select oracle from oracles where json_extract(identity, '$.{name}') = ?)")
            values.append(value)
    where = " and ".join(conditions)
    with _opened(path) as connection:
        count = int(connection.execute(f"select count(*) from verdicts where {where}", values).fetchone()[0])
        if count and not dry_run:
            with connection:
                connection.execute("begin immediate")
                connection.execute(f"delete from verdicts where {where}", values)
                connection.execute("delete from oracles where oracle not in (select oracle from verdicts)")
            connection.execute("vacuum")
    return count


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.exists():
        raise UsageError(
            f"cache {path}: no such file; it is made by the first run that asks an LLM, or name another with --file"
        )
    try:
        with contextlib.closing(connect(path)) as connection:
            yield connection
    except sqlite3.Error as e:
        raise UsageError(f"cache {path} cannot be read ({e}); expected a cache of verdicts that no other process locks") from e


def _parts(path: Path) -> tuple[str, ...]:
    return path.name, f"{path.name}-wal", f"{path.name}-shm"
