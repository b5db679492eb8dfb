"""One run on Tunix: the policy, the data as the policy reads it, training and evaluation."""

import itertools
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import jax
import jax.monitoring

from cal_grpo.config import EMBEDDED, TrainConfig
from cal_grpo.credit import Formula
from cal_grpo.engines import Answers, Engine, OnCredit, OnMetrics, Parts, UpdateTally
from cal_grpo.engines.found import Found
from cal_grpo.engines.reading import batches, fitting, prompts_of
from cal_grpo.engines.tunix.models import load_policy, make_mesh, save_adapter, save_policy, with_lora
from cal_grpo.engines.tunix.restore import newest_checkpoint
from cal_grpo.engines.tunix.rollouts import answers, rollout_of
from cal_grpo.engines.tunix.training import (
    CALGRPOConfig,
    CALGRPOLearner,
    RowBackend,
    build_cluster,
    emit_before_checkpoints,
    rollout_settings,
    silence,
)
from cal_grpo.pipeline import Credited
from cal_grpo.policies import resolve_model


class TunixEngine(Engine):
    """The contract on Tunix: the policy on a mesh, its questions as prompts, and the learner once it has been started."""

    def __init__(self, config: TrainConfig, parts: Parts) -> None:
        self._config, self._parts, task = config, parts, parts.task
        self._mesh = make_mesh(config.mesh.fsdp, config.mesh.tp)
        self._policy = load_policy(resolve_model(config.model_id), self._mesh, remat=config.remat, system=task.system)
        if config.lora.rank:
            self._policy = with_lora(self._policy, config.lora, config.seed, self._mesh)
        limit, tokenizer = config.rollout.max_prompt_tokens or task.prompt_tokens, self._policy.tokenizer
        prompt_of = prompts_of(task, tokenizer, config.chat.template_arguments)
        self._training, skipped = fitting(task.train, tokenizer, limit, "training", prompt_of)
        self._asked, skipped_eval = fitting(task.eval, tokenizer, limit, "held-out", prompt_of)
        self.held_out = [example for _, example in self._asked]
        self.skipped = {"training": skipped, "held-out": skipped_eval}
        self.compile_s = 0.0
        self._learner: CALGRPOLearner | None = None
        self._rows = RowBackend(_ignore)
        self._on_credit: OnCredit = _ignore
        self._tally: UpdateTally | None = None
        self._on_metrics: OnMetrics = _ignore
        self._began = self._compiled = 0.0  # when the last update was made, and what was compiled until then, in seconds
        _COUNTING.add(self)

    @classmethod
    def open(cls, config: TrainConfig, parts: Parts) -> Self:
        return cls(config, parts)

    @staticmethod
    def find_checkpoint(run_dir: Path) -> Found:
        return newest_checkpoint(run_dir)

    @property
    def device(self) -> str:
        kind = self._mesh.devices.flat[0].device_kind
        return kind if self._mesh.size == 1 else f"{self._mesh.size} x {kind}"

    def start(self, run_dir: Path, on_credit: OnCredit, on_metrics: OnMetrics) -> None:
        self._rows, self._on_credit, self._on_metrics = RowBackend(self._made), on_credit, on_metrics
        cluster = build_cluster(self._config, self._policy, self._mesh, run_dir, self._rows)
        self._learner = CALGRPOLearner(
            cluster,
            algorithm(self._config, self._parts.credit),
            list(self._parts.reward_fns) or None,
            oracle=self._parts.oracle,
            grade=self._parts.task.grade,
            on_credit=self._credited,
        )
        # The last checkpoint of a run that was stopped does not say its global step (tunix 0.1.7, sft/peft_trainer.py,
        # _save_last_checkpoint); noise and metrics are keyed by it. Here each global step is one update.
        cluster.global_steps = cluster.actor_trainer.train_steps
        emit_before_checkpoints(cluster, self._rows)
        silence(cluster)

    def answers(self, samples: int, on_done: Callable[[int], None]) -> Iterator[list[Answers]]:
        settings = rollout_settings(self._config, self._policy)
        rollout = rollout_of(self._policy, settings) if self._learner is None else self._learner.rl_cluster.rollout
        batch_size, seed = self._config.eval.batch_size, self._config.seed
        began, compiled = time.monotonic(), self.compile_s
        yield from answers(
            rollout, self._mesh, settings, self._asked, batch_size,
            grade=self._parts.task.grade, samples=samples, seed=seed, on_done=on_done,
        )  # fmt: skip
        self._began += time.monotonic() - began  # no part of an update
        self._compiled += self.compile_s - compiled

    def learn(self, should_stop: Callable[[], bool]) -> int:
        learner = self._started()
        trainer = learner.rl_cluster.actor_trainer
        made = int(trainer.train_steps)
        if made >= self._config.num_train_steps or should_stop():  # Tunix wants at least one batch, and trains on it
            return made
        data = batches(self._training, self._config.batch_size, self._config.seed)
        # Tunix skips the batches of the updates that are in the checkpoint; of the next one should_stop was asked above.
        ahead = itertools.islice(data, made + 1)
        self._began, self._compiled = time.monotonic(), self.compile_s
        learner.train(itertools.chain(ahead, itertools.takewhile(lambda _: not should_stop(), data)))
        return int(trainer.train_steps)

    def save_policy(self, output: Path) -> None:
        model = self._started().rl_cluster.actor_trainer.model
        save_policy(self._policy, output, model)
        if self._config.lora.save_adapter:
            base = str(self._policy.folder) if self._config.model_id == EMBEDDED else self._config.model_id
            save_adapter(self._policy, output.with_name("adapter"), base, model)

    def close(self) -> None:
        self._rows.close()  # Tunix keeps listeners of a run that failed
        self._on_credit = _ignore
        if self._learner is not None:
            self._learner.rl_cluster.actor_trainer.checkpoint_manager.close()

    def _started(self) -> CALGRPOLearner:
        if self._learner is None:
            raise RuntimeError("start comes first")
        return self._learner

    def _credited(self, step: int, credited: Credited) -> None:
        """A micro-batch of the update after ``step`` is credited."""
        if self._tally is None or self._tally.step != step + 1:
            self._tally = UpdateTally(step + 1, self._config.num_train_steps)
        self._tally.add(credited)
        self._rows.add(step + 1, {"accuracy": self._tally.accuracy, "tokens": self._tally.tokens})
        self._on_credit(self._tally, credited)

    def _made(self, row: dict[str, Any]) -> None:
        """An update is made."""
        now, compiled = time.monotonic(), self.compile_s
        seconds = now - self._began
        self._on_metrics(row | {"seconds": seconds, "compile_seconds": min(compiled - self._compiled, seconds)})
        self._began, self._compiled = now, compiled


def _compiled(event: str, duration_secs: float, **_: Any) -> None:
    if event.startswith("/jax/core/compile/"):
        for engine in list(_COUNTING):
            engine.compile_s += duration_secs


_COUNTING: weakref.WeakSet[TunixEngine] = weakref.WeakSet()  # weakly: a listener of its own would keep a policy alive for good
jax.monitoring.register_event_duration_secs_listener(_compiled)


def _ignore(*_: Any) -> None:
    """Nobody listens."""


def algorithm(config: TrainConfig, credit: Formula) -> CALGRPOConfig:
    """The algorithm's part of a run's config."""
    return CALGRPOConfig(
        num_generations=config.num_generations,
        baseline=config.baseline,
        beta=config.beta,
        epsilon=config.epsilon,
        use_cal=config.use_cal,
        credit=credit,
        negative_reward=config.negative_reward,
        prefix_reward=config.prefix_reward,
        prefix_share=config.prefix_share,
        mask_probability=config.mask_probability,
        on_miss=config.on_miss,
        on_failure=config.on_failure,
        on_truncated=config.on_truncated,
        train_end_token=config.train_end_token,
        corrections=config.corrections,
        correction_weight=config.correction_weight,
        correction_copies=config.correction_copies,
        max_span_tokens=config.max_span_tokens,
        on_ambiguous=config.on_ambiguous,
        seed=config.seed,
    )
