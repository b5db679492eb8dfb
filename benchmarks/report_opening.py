"""How long a browser takes until a report's first picture is on the screen, as JSON.

    python benchmarks/report_opening.py [--rollouts 5000] [--opened 7]

The run is made here: answers of 300 tokens in 1,200 characters to questions of 200, half of them wrong, judged, with a
quote and a critique; lengths as of a small model on GSM8K. Its report is opened from disk in headless Chromium, taking turns
with one that holds a single rollout, so that the ratio is of the rollouts. "shown" is from the start of the navigation to
the first frame with the table in it; "filtered" is from a text typed to the table that it leaves.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _browser import Browser, open_browser

from cal_grpo.config import TrainConfig
from cal_grpo.seeing.report import report_page
from cal_grpo.seeing.run import open_runs

PER_STEP, TOKENS, CHARACTERS = 64, 300, 1200
_FILTERED = """(() => {
  const began = performance.now();
  filter({ find: "sum is wrong" });
  document.body.offsetHeight;
  return performance.now() - began;
})()"""


def words(rng: random.Random, characters: int) -> str:
    text = ""
    while len(text) < characters:
        text += "".join(rng.choices("abcdefghij 0123456789=+-", k=rng.randint(3, 9))) + " "
    return text[:characters]


def rollout(rng: random.Random, step: int) -> dict[str, Any]:
    record: dict[str, Any] = {
        "step": step, "question": words(rng, 200), "response": words(rng, CHARACTERS), "tokens": TOKENS,
        "extracted": "12", "expected": "13",
    }  # fmt: skip
    if rng.random() < 0.5:
        whole = {"advantages": [[0.7, TOKENS]], "advantage_characters": [CHARACTERS]}
        return record | whole | {"correct": True, "reward": 1.0}
    start = rng.randrange(1, TOKENS - 20)
    runs = [[0.3, start], [-1.0, 10], [0.0, TOKENS - start - 10]]
    at = [4 * start, 4 * start + 40]
    quote, critique = record["response"][slice(*at)], "the sum is wrong: " + words(rng, 100)
    return record | {
        "correct": False, "reward": 0.0, "advantages": runs,
        "advantage_characters": [at[0], 40, CHARACTERS - at[1]],
        "verdict": {"tag": "found", "critique": critique, "segment": quote, "confidence": 0.8, "missed": None},
        "span": {"tokens": [start, start + 10], "characters": at, "method": "exact", "score": 1.0},
    }  # fmt: skip


def write_run(folder: Path, count: int) -> Path:
    """A run folder with ``count`` rollouts, ``PER_STEP`` an update."""
    rng = random.Random(f"report_opening/{count}")
    folder.mkdir()
    (folder / "config.yaml").write_text(TrainConfig.model_validate({"output_dir": folder}).to_yaml())
    steps = range(1, -(-count // PER_STEP) + 1)
    metrics = [{"step": s, "accuracy": 0.5, "kl": 0.01, "entropy": 0.2, "tokens_mean": TOKENS} for s in steps]
    samples = [rollout(rng, 1 + i // PER_STEP) for i in range(count)]
    for name, rows in (("metrics.jsonl", metrics), ("samples.jsonl", samples)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def open_once(browser: Browser, path: Path) -> tuple[float, float]:
    page = browser.open(path)
    shown = float(page.evaluate("document.documentElement.dataset.shown")) / 1000
    filtered = float(page.evaluate(_FILTERED))
    page.close()
    return shown, filtered / 1000


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "slowest": round(max(values), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=5000)
    parser.add_argument("--opened", type=int, default=7, help="times that each report is opened")
    args = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {"many": [], "one": []}
    with tempfile.TemporaryDirectory() as temporary, open_browser() as browser:
        pages, made_s = {}, 0.0
        for name, count in (("many", args.rollouts), ("one", 1)):
            run = write_run(Path(temporary, name), count)
            began = time.perf_counter()
            text = report_page(open_runs([run]), count)
            made_s = made_s or time.perf_counter() - began
            pages[name] = Path(temporary, f"{name}.html")
            pages[name].write_text(text, encoding="utf-8")
        for number in range(args.opened):
            for name, path in pages.items():
                times[name].append(open_once(browser, path))
            print(f"opened {number + 1}/{args.opened}", file=sys.stderr, flush=True)
        megabytes = pages["many"].stat().st_size / 1e6
    shown = {name: [s for s, _ in taken] for name, taken in times.items()}
    result = {
        "rollouts": args.rollouts,
        "megabytes": round(megabytes, 1),
        "made_s": round(made_s, 3),
        "shown_s": {name: spread(values) for name, values in shown.items()},
        "shown_times_one": round(statistics.median(a / b for a, b in zip(shown["many"], shown["one"], strict=True)), 2),
        "filtered_s": spread([f for _, f in times["many"]]),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
