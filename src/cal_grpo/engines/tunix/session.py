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

from cal_grpo.config import EMBEDDED, TrainConfig
from cal_grpo.engines import Answers, UpdateTally
from cal_grpo.engines.tunix.models import Policy, load_policy, make_mesh, save_adapter, save_policy, with_lora
from cal_grpo.engines.tunix.restore import newest_checkpoint
from cal_grpo.engines.tunix.rollouts import answers, batches, fitting, prompts_of, rollout_of
from cal_grpo.engines.tunix.training import (
    CALGRPOConfig,
    CALGRPOLearner,
    RowBackend,
    build_cluster,
    emit_before_checkpoints,
    rollout_settings,
)
from cal_grpo.grading import Grade
from cal_grpo.oracles import CALOracle
from cal_grpo.pipeline import Credited
from cal_grpo.policies import resolve_model
from cal_grpo.tasks import Example, Grader, TaskData, grade_by_answer

os.environ.setdefault("TQDM_DISABLE", "1")  # Tunix draws a bar of its own, which would tear ours


@dataclass
class Session:
    """``Session.open`` loads, ``start`` builds the learner, then ``evaluate`` and ``learn``; ``close`` in any case.

    ``answers`` needs no learner: before ``start`` the policy answers as it was loaded.
    """

    config: TrainConfig
    oracle: CALOracle | None
    policy: Policy
    mesh: jax.sharding.Mesh
    training: list[tuple[str, Example]]
    held_out: list[tuple[str, Example]]
    skipped: dict[str, int]
    grade: Grader = grade_by_answer
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
        mesh = make_mesh(config.mesh.fsdp, config.mesh.tp)
        policy = load_policy(resolve_model(config.model_id), mesh, remat=config.remat)
        if config.lora.rank:
            policy = with_lora(policy, config.lora, config.seed, mesh)
        limit = config.rollout.max_prompt_tokens or task.prompt_tokens
        prompt_of = prompts_of(task, policy.tokenizer, config.chat.template_arguments)
        training, skipped = fitting(task.train, policy.tokenizer, limit, "training", prompt_of)
        held_out, skipped_eval = fitting(task.eval, policy.tokenizer, limit, "held-out", prompt_of)
        skips = {"training": skipped, "held-out": skipped_eval}
        session = cls(config, oracle, policy, mesh, training, held_out, skips, task.grade)
        jax.monitoring.register_event_duration_secs_listener(session._on_duration)
        return session

    @staticmethod
    def find_checkpoint(run_dir: Path, tell: Callable[[str], None]) -> int:
        """The update from which ``start`` goes on in a run's folder; 0: from the beginning."""
        return newest_checkpoint(run_dir, tell)

    def start(
        self,
        run_dir: Path,
        on_credit: Callable[[UpdateTally, Credited], None],
        on_metrics: Callable[[dict[str, Any]], None],
    ) -> None:
        """Build Tunix's cluster and our learner, which goes on from the newest checkpoint in the run's folder.

        Args:
            run_dir: checkpoints are read from and written to ``run_dir/checkpoints``.
            on_credit: called with each credited micro-batch, and the update it belongs to so far.
            on_metrics: called with one row an update.
        """
        self._rows = RowBackend(on_metrics)
        cluster = build_cluster(self.config, self.policy, self.mesh, run_dir, self._rows)
        self._learner = CALGRPOLearner(
            cluster,
            algorithm(self.config),
            oracle=self.oracle,
            grade=self.grade,
            on_credit=lambda step, credited: self._credited(step + 1, credited, on_credit),
        )
        # The last checkpoint of a run that was stopped does not say its global step (tunix 0.1.7, sft/peft_trainer.py,
        # _save_last_checkpoint); noise and metrics are keyed by it. Here each global step is one update.
        cluster.global_steps = cluster.actor_trainer.train_steps
        emit_before_checkpoints(cluster, self._rows)

    def evaluate(self, on_done: Callable[[int], None]) -> Iterator[tuple[Example, str, Grade]]:
        """Greedy answers to the held-out questions, a batch at a time."""
        for batch in self.answers(0, on_done):
            for answered in batch:
                yield answered.example, *answered.greedy

    def answers(self, samples: int, on_done: Callable[[int], None]) -> Iterator[list[Answers]]:
        """Greedy and ``samples`` sampled answers to each held-out question, a batch of questions at a time."""
        settings = rollout_settings(self.config, self.policy)
        rollout = rollout_of(self.policy, settings) if self._learner is None else self._learner.rl_cluster.rollout
        batch_size, seed = self.config.eval.batch_size, self.config.seed
        return answers(
            rollout, self.mesh, settings, self.held_out, batch_size,
            grade=self.grade, samples=samples, seed=seed, on_done=on_done,
        )  # fmt: skip

    def learn(self, should_stop: Callable[[], bool]) -> int:
        """Train until ``num_train_steps`` updates are made, or ``should_stop`` says so. Returns the updates made in all.

        Tunix skips the batches of the updates that are in the checkpoint.
        """
        made = int(self._learner.rl_cluster.actor_trainer.train_steps)
        if should_stop() or made >= self.config.num_train_steps:  # Tunix wants at least one batch, and trains on it
            return made
        data = batches(self.training, self.config.batch_size, self.config.seed)
        self._seen = time.monotonic()
        self._learner.train(itertools.takewhile(lambda _: not should_stop(), data))
        return int(self._learner.rl_cluster.actor_trainer.train_steps)

    def save_policy(self, output: Path) -> None:
        """The policy as it is now, as a Hugging Face folder; if asked, its adapter beside it, in ``adapter``."""
        model = self._learner.rl_cluster.actor_trainer.model
        save_policy(self.policy, output, model)
        if self.config.lora.save_adapter:
            base = str(self.policy.folder) if self.config.model_id == EMBEDDED else self.config.model_id
            save_adapter(self.policy, output.with_name("adapter"), base, model)

    def close(self) -> None:
        """Take no more metrics, for Tunix keeps listeners of a run that failed; wait for a checkpoint that is being written."""
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
