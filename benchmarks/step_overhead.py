"""What CAL-GRPO adds to an update, as JSON.

    python benchmarks/step_overhead.py [--updates 15]                  # over plain Tunix GRPO, with a free oracle
    python benchmarks/step_overhead.py --latency 1 [--updates 8]       # an oracle of a second over one of none

Learners train the embedded policy on the default task in one process, taking turns an update at a time, on the same
questions with the same rollout noise. The learning rate is so small that the policies stay what they are and sample the
same answers, so that only the credit differs. The figure is the median over the updates of the ratio of two times.

Without ``--latency``, CAL-GRPO asks the reference oracle and stands beside Tunix's own learner with our grading as its
reward. With it, the reference oracle takes that many seconds to answer, an update has four micro-batches of 32 answers,
and two learners stand beside one whose oracle answers at once: ours, and one that waits for a micro-batch's verdicts,
all asked at once, before it goes on.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")

from tunix.rl.grpo.grpo_learner import GRPOConfig, GRPOLearner

from cal_grpo.config import TrainConfig, load_config
from cal_grpo.engines.reading import batches, fitting
from cal_grpo.engines.tunix import CALGRPOLearner, seed_rollouts
from cal_grpo.engines.tunix.engine import algorithm
from cal_grpo.engines.tunix.models.checkpoint import load_policy
from cal_grpo.engines.tunix.models.mesh import make_mesh
from cal_grpo.engines.tunix.training.cluster import build_cluster
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import CALOracle, Query, Verdict
from cal_grpo.oracles.free.reference import ReferenceOracle
from cal_grpo.policies import EMBEDDED
from cal_grpo.tasks import load_task

WARM_UP = 2


def plain_reward(prompts: Any, completions: Any, answer: Any, **_: Any) -> list[float]:
    return [float(grade_answer(text, str(a)).correct) for text, a in zip(completions, answer, strict=True)]


def plain(cluster: Any, config: TrainConfig) -> GRPOLearner:
    seed_rollouts(cluster, config.seed)
    ours = algorithm(config)
    shared = ("num_generations", "beta", "loss_agg_mode", "kl_loss_mode")
    return GRPOLearner(cluster, GRPOConfig(**{name: getattr(ours, name) for name in shared}), plain_reward)


def one_update(config: TrainConfig, make_learner: Callable[[Any], GRPOLearner]) -> Callable[[dict[str, Any]], float]:
    """A learner with its own policy, as a function from a batch to the seconds that its update took."""
    cluster = build_cluster(config, load_policy(EMBEDDED, make_mesh()), make_mesh(), None)
    learner = make_learner(cluster)
    cluster.close = lambda: None  # Tunix closes a cluster behind every ``train``

    def update(batch: dict[str, Any]) -> float:
        began = time.perf_counter()
        learner.train([dict(batch)])
        return time.perf_counter() - began

    return update


class Slow:
    """The reference oracle, after ``latency_s`` seconds."""

    name = "slow"

    def __init__(self, latency_s: float) -> None:
        self._oracle, self._latency_s = ReferenceOracle(), latency_s

    async def locate(self, query: Query) -> Verdict:
        await asyncio.sleep(self._latency_s)
        return await self._oracle.locate(query)


class Blocking(CALGRPOLearner):
    """Waits for a micro-batch's verdicts before it samples the next one."""

    def _process_accumulated_batches(self, *args: Any, **kwargs: Any) -> list[Any]:
        examples = super()._process_accumulated_batches(*args, **kwargs)
        for example in examples:
            example.redeem()
        return examples


def take_turns(learners: dict[str, Any], data: Iterable[dict[str, Any]], updates: int) -> dict[str, list[float]]:
    """Seconds of each timed update by learner."""
    seconds: dict[str, list[float]] = {name: [] for name in learners}
    names = list(learners)
    total = WARM_UP + updates
    for number, batch in zip(range(total), data, strict=False):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(learners[name](batch))
        print(f"update {number + 1}/{total}", file=sys.stderr, flush=True)
    return {name: times[WARM_UP:] for name, times in seconds.items()}


def ratio(over: list[float], under: list[float]) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return {
        "median": round(statistics.median(ratios), 4),
        "quartiles": [round(q, 4) for q in statistics.quantiles(ratios, n=4)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=15, help="timed updates of each learner")
    parser.add_argument("--latency", type=float, help="seconds that the slow oracle takes")
    args = parser.parse_args()
    logging.getLogger("absl").setLevel(logging.ERROR)
    sizes = {} if args.latency is None else {"batch_size": 16, "micro_batch_size": 4}
    config = load_config(overrides={"num_train_steps": WARM_UP + args.updates + 1, "learning_rate": 1e-12} | sizes)
    task = load_task(config)
    config = config.fitted(task.prompt_tokens, task.answer_tokens)
    pairs, _ = fitting(task.train, load_policy(EMBEDDED, make_mesh()).tokenizer, task.prompt_tokens, "training")
    with contextlib.ExitStack() as stack:

        def learner(oracle: Any, kind: type[CALGRPOLearner] = CALGRPOLearner) -> Callable[[dict[str, Any]], float]:
            asked = stack.enter_context(CALOracle(oracle, concurrency=256))
            return one_update(config, lambda cluster: kind(cluster, algorithm(config), oracle=asked))

        if args.latency is None:
            learners = {"plain": one_update(config, lambda cluster: plain(cluster, config)), "cal": learner("reference")}
        else:
            learners = {
                "at once": learner(Slow(0)),
                "slow": learner(Slow(args.latency)),
                "slow, blocking": learner(Slow(args.latency), Blocking),
            }
        timed = take_turns(learners, batches(pairs, config.batch_size, config.seed), args.updates)
    base, *others = timed
    result = {
        "updates": args.updates,
        "rollouts_per_update": config.batch_size * config.num_generations,
        "micro_batches": config.batch_size // (config.micro_batch_size or config.batch_size),
        "oracle_latency_s": args.latency,
        "median_s": {name: round(statistics.median(times), 4) for name, times in timed.items()},
        "ratio": {f"{name} / {base}": ratio(timed[name], timed[base]) for name in others},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
