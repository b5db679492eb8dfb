"""One run on Tunix: the policy, the data as the policy reads it, training and evaluation."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import jax
import jax.monitoring

from cal_grpo.config import TrainConfig
from cal_grpo.engines.tunix.checkpoint import Policy, load_policy, save_policy
from cal_grpo.engines.tunix.cluster import build_cluster
from cal_grpo.engines.tunix.config import CALGRPOConfig
from cal_grpo.engines.tunix.evaluate import answers
from cal_grpo.engines.tunix.learner import CALGRPOLearner
from cal_grpo.engines.tunix.mesh import make_mesh
from cal_grpo.engines.tunix.metrics import RowBackend
from cal_grpo.engines.tunix.prompts import batches, fitting
from cal_grpo.grading import Grade
from cal_grpo.oracles import CALOracle
from cal_grpo.pipeline import Credited
from cal_grpo.policies import resolve_model
from cal_grpo.tasks import TaskData
from cal_grpo.tasks.types import Example
from cal_grpo.watch import UpdateTally

os.environ.setdefault("TQDM_DISABLE", "1")  # Tunix draws a bar of its own, which would tear ours


@dataclass
class Session:
    """``Session.open`` loads, ``start`` builds the learner, then ``evaluate`` and ``learn``; ``close`` in any case."""

    config: TrainConfig
    oracle: CALOracle | None
    policy: Policy
    mesh: jax.sharding.Mesh
    training: list[tuple[str, Example]]
    held_out: list[tuple[str, Example]]
    skipped: dict[str, int]
    compile_s: float = 0.0
    _learner: Any = field(default=None, repr=False)
    _tally: UpdateTally | None = field(default=None, repr=False)
    _began: float = 0.0  # when the last update before this one was credited
    _seen: float = 0.0
    _rows: RowBackend = field(default_factory=lambda: RowBackend(lambda row: None), repr=False)

    @classmethod
    def open(cls, config: TrainConfig, task: TaskData, oracle: CALOracle | None) -> Self:
        """Load the policy and render the task for it. Writes nothing.

        Raises:
            UsageError: the checkpoint cannot be trained, or no prompt fits.
        """
        mesh = make_mesh()
        policy = load_policy(resolve_model(config.model_id), mesh, remat=config.remat)
        limit = config.rollout.max_prompt_tokens or task.prompt_tokens
        training, skipped = fitting(task.train, policy.tokenizer, limit, "training")
        held_out, skipped_eval = fitting(task.eval, policy.tokenizer, limit, "held-out")
        skips = {"training": skipped, "held-out": skipped_eval}
        session = cls(config, oracle, policy, mesh, training, held_out, skips)
        jax.monitoring.register_event_duration_secs_listener(session._on_duration)
        return session

    def start(
        self,
        run_dir: Path,
        on_credit: Callable[[UpdateTally, Credited], None],
        on_metrics: Callable[[dict[str, Any]], None],
    ) -> None:
        """Build Tunix's cluster and our learner.

        Args:
            run_dir: checkpoints are written to ``run_dir/checkpoints``.
            on_credit: called with each credited micro-batch, and the update it belongs to so far.
            on_metrics: called with one row an update.
        """
        self._rows = RowBackend(on_metrics)
        cluster = build_cluster(self.config, self.policy, self.mesh, run_dir, self._rows)
        self._learner = CALGRPOLearner(
            cluster,
            algorithm(self.config),
            oracle=self.oracle,
            on_credit=lambda step, credited: self._credited(step + 1, credited, on_credit),
        )

    def evaluate(self, on_done: Callable[[int], None]) -> Iterator[tuple[Example, str, Grade]]:
        """Greedy answers to the held-out questions, a batch at a time."""
        return answers(self._learner.rl_cluster, self.held_out, self.config.eval.batch_size, on_done)

    def learn(self, should_stop: Callable[[], bool]) -> int:
        """Train for ``num_train_steps`` updates, or until ``should_stop`` says so. Returns the updates made."""
        if should_stop():  # Tunix wants at least one batch
            return 0
        data = batches(self.training, self.config.batch_size, self.config.seed)
        self._seen = time.monotonic()
        self._learner.train(itertools.takewhile(lambda _: not should_stop(), data))
        return int(self._learner.rl_cluster.actor_trainer.train_steps)

    def save_policy(self, output: Path) -> None:
        """The policy as it is now, as a Hugging Face folder."""
        save_policy(self.policy, output, self._learner.rl_cluster.actor_trainer.model)

    def close(self) -> None:
        """Flush the metrics, for Tunix keeps listeners of a run that failed; wait for a checkpoint that is being written."""
        self._rows.close()
        if self._learner is not None:
            self._learner.rl_cluster.actor_trainer.checkpoint_manager.close()

    def _credited(self, step: int, credited: Credited, on_credit: Callable[[UpdateTally, Credited], None]) -> None:
        now = time.monotonic()
        if self._tally is None or self._tally.step != step:
            self._tally = UpdateTally(step, self.config.num_train_steps)
            self._began = self._seen
        self._seen = now
        self._tally.add(credited)
        row = {"accuracy": self._tally.accuracy, "tokens": self._tally.tokens, "seconds": now - self._began}
        self._rows.add(step, row)
        on_credit(self._tally, credited)

    def _on_duration(self, event: str, duration_secs: float, **_: Any) -> None:
        if event.startswith("/jax/core/compile/"):
            self.compile_s += duration_secs


def algorithm(config: TrainConfig) -> CALGRPOConfig:
    """The algorithm's part of a run's config."""
    return CALGRPOConfig(
        num_generations=config.num_generations,
        beta=config.beta,
        epsilon=config.epsilon,
        use_cal=config.use_cal,
        credit=config.credit,
        negative_reward=config.negative_reward,
        prefix_reward=config.prefix_reward,
        on_miss=config.on_miss,
        on_failure=config.on_failure,
        max_span_tokens=config.max_span_tokens,
        on_ambiguous=config.on_ambiguous,
        seed=config.seed,
    )
