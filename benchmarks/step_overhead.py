"""What CAL-GRPO adds to an update of plain Tunix GRPO, as JSON.

    python benchmarks/step_overhead.py [--updates 15]

Both learners train the embedded policy on the default task in one process, taking turns an update at a time, on the same
questions with the same rollout noise. The learning rate is so small that both policies stay what they are and sample the
same answers, so that only the credit differs. CAL-GRPO asks the reference oracle; plain GRPO is Tunix's own learner with
our grading as its reward. The figure is the median over the updates of the ratio of the two times.
"""

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")

from tunix.rl.grpo.grpo_learner import GRPOConfig, GRPOLearner

from cal_grpo.config import TrainConfig, load_config
from cal_grpo.engines.tunix import CALGRPOLearner, seed_rollouts
from cal_grpo.engines.tunix.checkpoint import load_policy
from cal_grpo.engines.tunix.cluster import build_cluster
from cal_grpo.engines.tunix.mesh import make_mesh
from cal_grpo.engines.tunix.prompts import batches, fitting
from cal_grpo.engines.tunix.session import algorithm
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import CALOracle
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=15, help="timed updates of each learner")
    args = parser.parse_args()
    logging.getLogger("absl").setLevel(logging.ERROR)
    total = WARM_UP + args.updates
    config = load_config(overrides={"num_train_steps": total + 1, "learning_rate": 1e-12})
    task = load_task(config)
    config = config.fitted(task.prompt_tokens, task.answer_tokens)
    with CALOracle("reference") as oracle:
        learners = {
            "plain": one_update(config, lambda cluster: plain(cluster, config)),
            "cal": one_update(config, lambda cluster: CALGRPOLearner(cluster, algorithm(config), oracle=oracle)),
        }
        pairs, _ = fitting(task.train, load_policy(EMBEDDED, make_mesh()).tokenizer, task.prompt_tokens, "training")
        seconds: dict[str, list[float]] = {name: [] for name in learners}
        for number, batch in zip(range(total), batches(pairs, config.batch_size, config.seed), strict=False):
            for name in sorted(learners, reverse=bool(number % 2)):
                seconds[name].append(learners[name](batch))
            print(f"update {number + 1}/{total}", file=sys.stderr, flush=True)
    timed = {name: times[WARM_UP:] for name, times in seconds.items()}
    ratios = [cal / base for cal, base in zip(timed["cal"], timed["plain"], strict=True)]
    result = {
        "updates": args.updates,
        "rollouts_per_update": config.batch_size * config.num_generations,
        "median_s": {name: round(statistics.median(times), 4) for name, times in timed.items()},
        "ratio": {
            "median": round(statistics.median(ratios), 4),
            "quartiles": [round(q, 4) for q in statistics.quantiles(ratios, n=4)],
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
