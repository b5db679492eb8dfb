"""Both engines side by side: seconds an update and the largest memory, of the same run, each in a process of its own.

    python benchmarks/engines.py --tunix-python .venv/bin/python --trl-python .venv-trl/bin/python [--updates 8]
    python benchmarks/engines.py ... --model FOLDER --data train.jsonl [--updates 3]

The demo's preset on the embedded policy; with ``--model`` the GSM8K recipe (its script, with what that sets for the
allocator), scaled down: two questions an update instead of four, three updates, no evaluation. That changes no forward pass of
the training; TRL, which samples an update in one go, keeps half as many answers' keys and values by it (the recipe's own is
``--set batch_size=4``). Prints JSON. ``--set KEY=VALUE`` changes the run; an engine whose interpreter is not named is left out.

The first update, which compiles or warms up, is in no median. Memory is ``ru_maxrss`` of the engine's process, GPUs' aside.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gpu.parts import metrics, speed

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "examples" / "rl" / "cal_ppo" / "run_cal_gsm8k.sh"
COMMON = {"max_eval_samples": "0", "tracker": "none", "checkpoint.every": "1000", "sample_share": "0"}


def command(args: argparse.Namespace, engine: str, python: str, run: Path) -> tuple[list[str], dict[str, str]]:
    """What is started for an engine, and with which environment beside this one's."""
    settings = COMMON | {"engine": engine, "num_train_steps": str(args.updates), "output_dir": str(run)}
    if args.model:
        settings |= {"batch_size": "2", "model_id": args.model} | ({"data": args.data} if args.data else {"task": "ledger"})
    pairs = [f"{key}={value}" for key, value in settings.items()] + args.set
    path = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    if args.model:
        return ["bash", str(RECIPE), *pairs], {"PYTHON": python, "PYTHONPATH": path}
    sets = [part for pair in pairs for part in ("--set", pair)]
    return [python, "-m", "cal_grpo", "train", "--preset", "demo", *sets], {"PYTHONPATH": path}


def measure(args: argparse.Namespace, engine: str, python: str) -> dict[str, Any]:
    """One engine's figures, or why it has none."""
    with tempfile.TemporaryDirectory() as folder:
        run, said = Path(folder) / "run", Path(folder) / "said"
        line, more = command(args, engine, python, run)
        began = time.monotonic()
        try:
            with said.open("w") as out:
                redirected = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
                pid = os.posix_spawnp(line[0], line, os.environ | more, file_actions=redirected)
            _, status, used = os.wait4(pid, 0)
        except OSError as e:
            return {"failed": f"{line[0]}: {e.strerror}"}
        if code := os.waitstatus_to_exitcode(status):
            lines = said.read_text().strip().splitlines()
            return {"failed": f"status {code}: {lines[-1] if lines else ''}"}
        summary = json.loads((run / "summary.json").read_text())
        unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
        kept = {key: summary[key] for key in ("device", "versions", "compile_s")}
        memory = {"peak_rss_mb": round(used.ru_maxrss * unit / 1e6), "cpu_s": round(used.ru_utime + used.ru_stime, 1)}
        rows = metrics(run)
        answers = round(rows[0]["tokens"] / rows[0]["tokens_mean"])
        return speed(rows, answers) | memory | {"wall_s": round(time.monotonic() - began, 1)} | kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tunix-python", help="an interpreter that has Tunix")
    parser.add_argument("--trl-python", help="an interpreter that has TRL")
    parser.add_argument("--updates", type=int, help="default: 8, with --model 3")
    parser.add_argument("--model", help="a Hugging Face folder: the recipe instead of the demo")
    parser.add_argument("--data", help="the recipe's JSONL file; without one its questions are the demo's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    args.updates = args.updates or (3 if args.model else 8)
    pythons = {engine: python for engine, python in (("tunix", args.tunix_python), ("trl", args.trl_python)) if python}
    if not pythons:
        parser.error("name an interpreter: --tunix-python, --trl-python or both")
    found = {engine: measure(args, engine, python) for engine, python in pythons.items()}
    told: dict[str, Any] = {
        "what": f"recipe on {Path(args.model).name}" if args.model else "demo",
        "updates": args.updates,
        "changed": args.set,
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "threads": os.environ.get("OMP_NUM_THREADS")},
        "engines": found,
    }
    if all("seconds_per_update" in found.get(engine, {}) for engine in ("tunix", "trl")):
        ratio = {key: found["trl"][key] / found["tunix"][key] for key in ("seconds_per_update", "peak_rss_mb")}
        told["trl_by_tunix"] = {key: round(value, 3) for key, value in ratio.items()}
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
