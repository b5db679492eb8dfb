"""The demo's speed on an engine: seconds an update, tokens a second.

    python -m gpu.demo --results DIR --engine trl|tunix [--updates 10] [--set KEY=VALUE ...]

An engine that is not installed, or that sees no GPU, is skipped, and its JSON says why. ``--anywhere`` takes the CPU too.
"""

import argparse
from pathlib import Path
from typing import Any

from cal_grpo.config import load_config, parse_override
from cal_grpo.errors import UsageError
from gpu.parts import metrics, part, speed


def missing(engine: str, anywhere: bool) -> str | None:
    """Why the engine cannot be measured here; None if it can."""
    from cal_grpo.engines import require_engine

    try:
        require_engine(engine)
        if engine == "tunix":
            import jax

            on = jax.default_backend() == "gpu"
        else:
            import torch

            on = torch.cuda.is_available()
    except (UsageError, ImportError, RuntimeError) as e:
        return " ".join(str(e).split())[:300]
    return None if on or anywhere else f"{engine} sees no GPU"


def measure(engine: str, results: Path, updates: int, anywhere: bool, settings: dict[str, Any]) -> dict[str, Any]:
    if reason := missing(engine, anywhere):
        return {"engine": engine, "skipped": reason}
    from cal_grpo import train

    run = results / "runs" / f"demo_{engine}"
    keys = {"engine": engine, "num_train_steps": updates, "max_eval_samples": 0, "output_dir": run, "overwrite": True}
    config = load_config(overrides=keys | {"tracker": "none"} | settings)
    summary = train(config).summary
    kept = {key: summary[key] for key in ("device", "versions", "compile_s")}
    return {"engine": engine, **kept, **speed(metrics(run), config.batch_size * config.num_generations)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--engine", choices=["trl", "tunix"], required=True)
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--anywhere", action="store_true")
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    settings = dict(parse_override(text) for text in args.set)
    name = f"demo_{args.engine}"
    part(args.results, name, lambda: measure(args.engine, args.results, args.updates, args.anywhere, settings))


if __name__ == "__main__":
    main()
