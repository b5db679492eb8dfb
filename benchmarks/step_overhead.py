"""What CAL-GRPO adds to an update, as JSON.

    python benchmarks/step_overhead.py [--updates 15]                  # over plain Tunix GRPO, with a free oracle
    python benchmarks/step_overhead.py --latency 1 [--updates 8]       # an oracle of a second over one of none
    python benchmarks/step_overhead.py --layout [--updates 8]          # 64 questions x 1 answer over 8 x 8

Learners train the embedded policy on the default task in one process, taking turns an update at a time, on the same
questions with the same rollout noise. The learning rate is so small that the policies stay what they are and sample the
same answers, so that only the credit differs. The figure is the median over the updates of the ratio of two times.

Without an option, CAL-GRPO asks the reference oracle and stands beside Tunix's own learner with our grading as its
reward.

With ``--latency``, the reference oracle takes that many seconds to answer, and an update has four micro-batches of 32
answers. They are sampled in a call each, and two learners stand beside one whose oracle answers at once: ours, and one
that waits for the verdicts of a call, all asked at once, before it goes on. Two more sample the update in one call, as
is the default, with an oracle that answers at once and with a slow one.

With ``--layout``, an update of 64 questions with one answer each, which is its own baseline, stands beside one of 8
questions with 8 answers, both in one forward pass.
"""

import argparse
import asyncio
import concurrent.futures
import contextlib
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")

from tunix.rl.grpo.grpo_learner import GRPOConfig, GRPOLearner

from cal_grpo.config import TrainConfig, load_config
from cal_grpo.credit import formula
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
    ours = algorithm(config, formula(config.credit))
    shared = ("num_generations", "beta", "loss_agg_mode", "kl_loss_mode")
    return GRPOLearner(cluster, GRPOConfig(**{name: getattr(ours, name) for name in shared}), plain_reward)


def one_update(config: TrainConfig, pairs: Sequence[Any], make_learner: Callable[[Any], GRPOLearner]) -> Callable[[], float]:
    """A learner with its own policy, as a function that makes an update and gives its seconds."""
    cluster = build_cluster(config, load_policy(EMBEDDED, make_mesh()), make_mesh(), None)
    learner, data = make_learner(cluster), batches(pairs, config.batch_size, config.seed)
    cluster.close = lambda: None  # Tunix closes a cluster behind every ``train``

    def update() -> float:
        batch = dict(next(data))
        began = time.perf_counter()
        learner.train([batch])
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
    """Waits for the verdicts of a call of the sampler before it goes on."""

    def _generate_and_compute_advantage(self, *args: Any, **kwargs: Any) -> Any:
        example = super()._generate_and_compute_advantage(*args, **kwargs)
        concurrent.futures.wait([verdict for verdict in self._last.pending.verdicts if verdict is not None])
        return example


def take_turns(learners: dict[str, Callable[[], float]], updates: int) -> dict[str, list[float]]:
    """Seconds of each timed update by learner."""
    seconds: dict[str, list[float]] = {name: [] for name in learners}
    names = list(learners)
    total = WARM_UP + updates
    for number in range(total):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(learners[name]())
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
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--latency", type=float, help="seconds that the slow oracle takes")
    what.add_argument("--layout", action="store_true", help="64 questions x 1 answer over 8 x 8")
    args = parser.parse_args()
    logging.getLogger("absl").setLevel(logging.ERROR)
    sizes = {} if args.latency is None else {"batch_size": 16, "micro_batch_size": 4}
    config = load_config(overrides={"num_train_steps": WARM_UP + args.updates + 1, "learning_rate": 1e-12} | sizes)
    task = load_task(config)
    config = config.fitted(task.prompt_tokens, task.answer_tokens)
    pairs, _ = fitting(task.train, load_policy(EMBEDDED, make_mesh()).tokenizer, task.prompt_tokens, "training")
    with contextlib.ExitStack() as stack:

        def learner(
            oracle: Any, kind: type[CALGRPOLearner] = CALGRPOLearner, *, calls: int | None = None, **changes: Any
        ) -> Callable[[], float]:
            """One that samples ``calls`` questions in a call; None: all of an update."""
            own = config.model_copy(update=changes | {"rollout": config.rollout.model_copy(update={"micro_batch_size": calls})})
            asked = stack.enter_context(CALOracle(oracle, concurrency=256))
            return one_update(own, pairs, lambda cluster: kind(cluster, algorithm(own, formula(own.credit)), oracle=asked))

        if args.latency is not None:
            learners = {
                "at once": learner(Slow(0), calls=4),
                "slow": learner(Slow(args.latency), calls=4),
                "slow, blocking": learner(Slow(args.latency), Blocking, calls=4),
                "one call, at once": learner(Slow(0)),
                "one call, slow": learner(Slow(args.latency)),
            }
        elif args.layout:
            learners = {
                "8 x 8": learner("reference"),
                "64 x 1": learner("reference", batch_size=64, num_generations=1, baseline="batch"),
            }
        else:
            learners = {
                "plain": one_update(config, pairs, lambda cluster: plain(cluster, config)),
                "cal": learner("reference"),
            }
        timed = take_turns(learners, args.updates)
    base, *others = timed
    result = {
        "updates": args.updates,
        "rollouts_per_update": config.batch_size * config.num_generations,
        "micro_batches": config.batch_size // (config.micro_batch_size or config.batch_size),
        "oracle_latency_s": args.latency,
        "median_s": {name: round(statistics.median(times), 4) for name, times in timed.items()},
        "ratio": {f"{name} / {base}": ratio(timed[name], timed[base]) for name in others},
    }
    if args.latency is not None:
        result["ratio"]["one call, slow / one call, at once"] = ratio(timed["one call, slow"], timed["one call, at once"])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
