"""Tunix's cluster for one run: policy, reference, rollout, optimizer."""

from pathlib import Path
from typing import Any

import jax
import optax
from orbax.checkpoint import CheckpointManagerOptions
from tunix.rl import rl_cluster as tunix_cluster
from tunix.rl.rollout.base_rollout import RolloutConfig
from tunix.sft.metrics_logger import MetricsLoggerOptions

from cal_grpo.config import TrainConfig
from cal_grpo.engines.tunix.models import Policy, read_prompts_as_rendered
from cal_grpo.engines.tunix.training.metrics import RowBackend


def build_cluster(
    config: TrainConfig,
    policy: Policy,
    mesh: jax.sharding.Mesh,
    run_dir: Path | None,
    metrics: RowBackend | None = None,
) -> tunix_cluster.RLCluster:
    """A colocated cluster: all roles on one mesh, vanilla rollout.

    Args:
        config: the run.
        policy: loaded on ``mesh``; trained in place.
        mesh: devices of all roles.
        run_dir: checkpoints go to ``run_dir/checkpoints``, and the policy goes on from the newest one there; the reference
            does not. None keeps none.
        metrics: gets every number that Tunix logs.
    """
    role = tunix_cluster.Role
    training = tunix_cluster.RLTrainingConfig(
        actor_optimizer=adam(config),
        mini_batch_size=config.batch_size,
        train_micro_batch_size=config.micro_batch_size or config.batch_size,
        # Tunix's default is the training's: then each division of an update would have samples of its own.
        rollout_micro_batch_size=config.rollout.micro_batch_size or config.batch_size,
        eval_every_n_steps=config.num_train_steps + 1,  # evaluation is ours: Tunix's sees one batch only
        max_steps=config.num_train_steps,
        checkpoint_root_directory=None if run_dir is None else str((run_dir / "checkpoints").resolve()),
        checkpointing_options=CheckpointManagerOptions(
            save_interval_steps=config.checkpoint.every,
            max_to_keep=config.checkpoint.keep,
            cleanup_tmp_directories=True,  # of a run that was killed while it saved
        ),
        metrics_logging_options=MetricsLoggerOptions(
            # Without a backend of its own, Tunix would write TensorBoard events into the working directory.
            log_dir=str(run_dir or "."),
            backend_kwargs={"custom_backend": [lambda: metrics or RowBackend(lambda row: None)]},
        ),
    )
    cluster = tunix_cluster.RLCluster(
        actor=policy.model,
        reference=policy.reference() if config.beta else None,
        tokenizer=policy.tokenizer,
        cluster_config=tunix_cluster.ClusterConfig(
            role_to_mesh={role.ACTOR: mesh, role.REFERENCE: mesh, role.ROLLOUT: mesh},
            training_config=training,
            rollout_config=rollout_settings(config, policy),
        ),
    )
    read_prompts_as_rendered(cluster.rollout._sampler, policy.tokenizer)
    # A copy of all weights in host memory, which only Tunix's agentic learner reads (tunix 0.1.7, rl/rl_cluster.py:587)
    cluster._anchor_policy_state = None
    return cluster


class _NoBar:
    """Takes what Tunix's progress bar takes, and draws nothing."""

    def update_metrics(self, *_: Any, **__: Any) -> None: ...

    def update(self, n: int = 1) -> None: ...

    def close(self) -> None: ...


def silence(cluster: tunix_cluster.RLCluster) -> None:
    """Keep Tunix's progress bar off a terminal: it writes through whatever is drawn there.

    It cannot be told to be still: it is drawn wherever stderr is a terminal (tunix 0.1.7, sft/progress_bar.py:43), and one is
    made where there is none yet (sft/peft_trainer.py:618).
    """
    cluster.actor_trainer._pbar = _NoBar()


def rollout_settings(config: TrainConfig, policy: Policy) -> RolloutConfig:
    """How the policy's answers are sampled, in Tunix's words."""
    rollout = config.rollout
    prompt_tokens, new_tokens = rollout.max_prompt_tokens or 256, rollout.max_new_tokens or 256
    return RolloutConfig(
        max_tokens_to_generate=new_tokens,
        max_prompt_length=prompt_tokens,
        kv_cache_size=prompt_tokens + new_tokens,
        temperature=rollout.temperature,
        top_p=rollout.top_p,
        eos_tokens=list(policy.eos_ids),
    )


def adam(config: TrainConfig) -> optax.GradientTransformation:
    """Adam with warm-up, behind a clip of the gradient's global norm."""
    warmup = config.optimizer.warmup_steps
    rate = optax.linear_schedule(0.0, config.learning_rate, warmup) if warmup else config.learning_rate
    return optax.chain(
        optax.clip_by_global_norm(config.optimizer.max_grad_norm),
        optax.adam(rate, b2=config.optimizer.b2),
    )
