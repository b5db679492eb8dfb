"""A part of the measurement: done once, its result a JSON file."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cal_grpo.files import write_whole


def part(results: Path, name: str, measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The part's result: read if ``results/NAME.json`` is there, else measured and written, whole or not at all."""
    file = results / f"{name}.json"
    if file.exists():
        print(f"{name}: {file} is there", flush=True)
        return json.loads(file.read_text())
    print(f"{name}: begins", flush=True)
    began = time.monotonic()
    found = {"part": name, **measure()}
    found["wall_s"] = round(time.monotonic() - began, 1)
    results.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(found, indent=2) + "\n")
    print(f"{name}: {found['wall_s']} s, {file}", flush=True)
    return found


def speed(rows: Sequence[Mapping[str, Any]], answers: int) -> dict[str, Any]:
    """Seconds an update and sampled tokens a second, over all updates but the first, which warms up.

    Args:
        rows: of a run's metrics.jsonl.
        answers: of an update.
    """
    timed = [row for row in rows if row["step"] > 1] or list(rows)
    seconds = [row["seconds"] for row in timed]
    tokens = [row["tokens"] if "tokens" in row else answers * row["tokens_mean"] for row in timed]
    return {
        "updates": len(rows),
        "timed_updates": len(timed),
        "answers_per_update": answers,
        "seconds_per_update": round(statistics.median(seconds), 4),
        "tokens_per_s": round(sum(tokens) / sum(seconds), 1),
        "first_update_s": round(rows[0]["seconds"], 2),
    }


def metrics(run: Path) -> list[dict[str, Any]]:
    """The rows of a run's metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
