"""A model folder on GSM8K, with and without credit: the same updates, and the same held-out questions.

    python -m gpu.gsm8k base   --results DIR --model FOLDER --data train.jsonl [--questions 512]
    python -m gpu.gsm8k credit --results DIR --model FOLDER --data train.jsonl [--seconds 170]
    python -m gpu.gsm8k grpo   --results DIR --model FOLDER --data train.jsonl
    python -m gpu.gsm8k verdict --results DIR

``credit`` trains as many updates as fit into ``--seconds`` and writes how many; ``grpo``, TRL's own, makes just as many, on the
same questions with as many answers. Each then answers the held-out questions. ``verdict`` pairs them.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from cal_grpo.config import TrainConfig, load_config, parse_override
from cal_grpo.intervals import paired_difference, share
from cal_grpo.runs import Callback
from gpu.detect import detectable
from gpu.parts import metrics, part, speed

ARMS = {"credit": {"use_cal": True, "credit": "even"}, "grpo": {"use_cal": False}}
SETTINGS = {
    "engine": "trl", "task": "gsm8k", "num_generations": 8, "batch_size": 16, "micro_batch_size": 4, "learning_rate": 5e-6,
    "num_train_steps": 1000, "checkpoint.every": 1000, "eval.batch_size": 128, "tracker": "none", "trl.loss_type": "dapo",
    "rollout.max_prompt_tokens": 256, "rollout.max_new_tokens": 256,
}  # fmt: skip


class Limit(Callback):
    """Stops a run in good order when its time is over, counted from the training's beginning."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._until = seconds, float("inf")

    def on_start(self, *_: Any) -> None:
        self._until = time.monotonic() + self._seconds

    def should_stop(self) -> bool:
        return time.monotonic() > self._until


def settings(args: argparse.Namespace) -> dict[str, Any]:
    import torch

    keys = SETTINGS | {"model_id": args.model, "data": args.data, "trl.bf16": torch.cuda.is_available()}
    return keys | dict(parse_override(text) for text in args.set)


def asked(args: argparse.Namespace, model: str) -> dict[str, Any]:
    """The share of the held-out questions that a policy answers rightly."""
    from cal_grpo import evaluate

    keys = settings(args) | {"model_id": model, "max_eval_samples": args.questions}
    figures = evaluate(load_config(overrides=keys), output=args.results / "evals" / args.part, overwrite=True)
    kept = ("device", "versions", "questions", "greedy", "cut_share", "skipped", "interrupted")
    return {key: figures[key] for key in kept} | {"eval_s": figures["wall_s"]}


def trained(args: argparse.Namespace) -> dict[str, Any]:
    """An arm: trained, and asked."""
    from cal_grpo import train

    run = args.results / "runs" / args.part
    keys = settings(args) | ARMS[args.part] | {"max_eval_samples": 0, "output_dir": run, "overwrite": True}
    seconds = args.seconds
    if args.part == "grpo":
        first = json.loads((args.results / "credit.json").read_text())
        keys["num_train_steps"] = first["updates"]
        seconds *= 2  # a guard only: the updates are the budget
    config: TrainConfig = load_config(overrides=keys)
    train(config, callbacks=[Limit(seconds)])
    found = speed(metrics(run), config.batch_size * config.num_generations)
    return {"settings": {key: str(value) for key, value in keys.items()}} | found | asked(args, str(run / "policy"))


def verdict(results: Path) -> dict[str, Any]:
    """The difference of the two arms, with its interval and what could have been seen."""
    told = {name: _answers(results / "evals" / name) for name in ("base", "credit", "grpo")}
    updates = {name: json.loads((results / f"{name}.json").read_text())["updates"] for name in ARMS}
    return {
        "right": {name: share(sum(rows.values()), len(rows))._asdict() for name, rows in told.items()},
        "same_updates": updates["credit"] == updates["grpo"],
        "updates": updates,
        "credit_minus_grpo": _paired(told["credit"], told["grpo"]),
        "credit_minus_base": _paired(told["credit"], told["base"]),
        "grpo_minus_base": _paired(told["grpo"], told["base"]),
    }


def _answers(folder: Path) -> dict[str, bool]:
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    return {row["question"]: row["greedy"]["correct"] for row in rows}


def _paired(first: dict[str, bool], second: dict[str, bool]) -> dict[str, Any]:
    counts = {(a, b): 0 for a in (True, False) for b in (True, False)}
    for question in first.keys() & second.keys():
        counts[first[question], second[question]] += 1
    found = paired_difference(counts[True, True], counts[True, False], counts[False, True], counts[False, False])
    total, apart = sum(counts.values()), counts[True, False] + counts[False, True]
    return {
        "questions": total,
        "discordant": round(apart / total, 4),
        **{key: round(value, 4) for key, value in found._asdict().items()},
        "detectable_at_this_discordance": round(detectable(total, apart / total), 4) if apart else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["base", *ARMS, "verdict"])
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--model", help="a Hugging Face folder")
    parser.add_argument("--data", type=Path, help="GSM8K's train.jsonl, an eighth of which is held out")
    parser.add_argument("--questions", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=170)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    if args.part != "verdict" and not (args.model and args.data):
        parser.error("--model and --data are needed")
    if args.part == "grpo" and not (args.results / "credit.json").exists():
        parser.error(f"{args.results / 'credit.json'} is not there: run the part credit first, which sets the budget")
    if args.part == "verdict":
        part(args.results, "verdict", lambda: verdict(args.results))
    elif args.part == "base":
        part(args.results, "base", lambda: asked(args, args.model))
    else:
        part(args.results, args.part, lambda: trained(args))


if __name__ == "__main__":
    main()
