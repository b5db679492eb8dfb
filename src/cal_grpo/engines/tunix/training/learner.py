"""The learner: Tunix's GRPO with per-token advantages from the credit pipeline.

Tunix's GRPO loss already takes a (B, T) advantage, so nothing of the loop is copied: hooks are overridden to see the
grades, to ask about the wrong answers, and to swap the advantages once the verdicts are there (tunix 0.1.7,
rl/grpo/grpo_learner.py; ``overlap`` has the reasons for the last two).
"""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from tunix.rl.grpo.grpo_learner import GRPOLearner
from tunix.rl.rl_cluster import Mode, RLCluster

from cal_grpo.alignment import Aligner
from cal_grpo.credit import formula
from cal_grpo.engines.tunix.rollouts import seed_rollouts
from cal_grpo.engines.tunix.training.config import CALGRPOConfig
from cal_grpo.engines.tunix.training.finite import stop_when_not_finite
from cal_grpo.engines.tunix.training.overlap import PendingExample, Redeemer
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade, grade_answer
from cal_grpo.oracles import CALOracle, Oracle
from cal_grpo.pipeline import Completion, Credited, CreditPipeline, Pending

COLUMNS = ("prompts", "question", "answer", "reference")
OnCredit = Callable[[int, Credited], None]


class CALGRPOLearner(GRPOLearner[CALGRPOConfig]):
    """Tunix's GRPO learner with CAL's credit.

    Args:
        rl_cluster: Tunix's cluster, with a reference policy when ``config.beta`` is not 0.
        config: see ``CALGRPOConfig``.
        oracle: a ``CALOracle`` or any object with ``async locate(query) -> Verdict``. Not asked when ``use_cal`` is
            off, for right answers, and in evaluation.
        reward_fns: replaces grading as the source of rewards; grading still decides which rows are wrong.
        on_credit: called with the global step and what became of each training micro-batch, in order, on one thread.
        metric_fns, data_shuffle_seed: as in Tunix.

    Batches need the columns ``prompts`` (ready for the model), ``question``, ``answer`` and ``reference``, each a numpy
    array of strings.
    """

    def __init__(
        self,
        rl_cluster: RLCluster,
        config: CALGRPOConfig,
        oracle: CALOracle | Oracle | None = None,
        reward_fns: Any = None,
        on_credit: OnCredit | None = None,
        metric_fns: Sequence[Any] | None = None,
        data_shuffle_seed: int | None = None,
    ) -> None:
        super().__init__(rl_cluster, config, reward_fns or self._grade, metric_fns, data_shuffle_seed)
        if rl_cluster.cluster_config.training_config.max_seq_token_per_tpu is not None:
            # tunix 0.1.7: packing with gradient accumulation changes no parameter at all
            raise UsageError("max_seq_token_per_tpu is set; CAL-GRPO trains unpacked sequences: leave it None")
        if jax.process_count() > 1:
            raise UsageError(
                f"jax runs {jax.process_count()} processes; expected one: each would ask the oracle for itself, get answers of "
                "its own and diverge. Use one process (Pathways has one controller and works)"
            )
        # Tunix computes the entropy with every loss but logs only the other two (tunix 0.1.7, rl/grpo/grpo_learner.py).
        rl_cluster.actor_trainer.with_rl_metrics_to_log({"kl": np.mean, "pg_clipfrac": np.mean, "entropy": np.mean})
        seed_rollouts(self.rl_cluster, config.seed)
        stop_when_not_finite(rl_cluster.actor_trainer)
        # Evaluation can run on the main thread while training data is prepared on another.
        self._last = threading.local()
        self._on_credit = on_credit
        self._drawn = (-1, 0)
        self._pipeline = self._build_pipeline(config, oracle)

    def _build_pipeline(self, config: CALGRPOConfig, oracle: CALOracle | Oracle | None) -> CreditPipeline:
        # Plain GRPO goes through the pipeline too, for its records; it asks nothing and its advantages stay Tunix's.
        credit = formula(config.credit if config.use_cal else "grpo")
        if oracle is None and credit.needs_oracle:
            raise UsageError(f"credit={credit.name!r} needs an oracle; pass oracle=CALOracle(...) or set use_cal=False")
        return CreditPipeline(
            oracle=oracle if oracle is None or isinstance(oracle, CALOracle) else CALOracle(oracle),
            aligner=Aligner(
                self.rl_cluster.tokenizer.tokenizer,
                max_span_tokens=config.max_span_tokens,
                on_ambiguous=config.on_ambiguous,
            ),
            credit=credit,
            weights=config.weights(),
            group_size=config.num_generations,
            on_miss=config.on_miss or "grpo",
            on_failure=config.on_failure or "grpo",
        )

    def _compute_rewards(self, prompts: Any, completions: Any, mode: Any, step: Any = None, **columns: Any) -> np.ndarray:
        missing = [name for name in COLUMNS[1:] if name not in columns]
        if missing:
            raise UsageError(f"the batch has no column {missing[0]!r}; expected the columns {', '.join(COLUMNS)}")
        self._last.grades = [
            grade_answer(text, str(answer)) for text, answer in zip(completions, columns["answer"], strict=True)
        ]
        self._last.rewards_B = super()._compute_rewards(prompts, completions, mode, step, **columns)
        return self._last.rewards_B

    def _grade(self, prompts: Any, completions: Any, **_: Any) -> list[float]:
        grades: list[Grade] = self._last.grades
        return [float(grade.correct) for grade in grades]

    def _generate_and_compute_advantage(self, training_input: Any, mode: Mode = Mode.TRAIN) -> Any:
        example = super()._generate_and_compute_advantage(training_input, mode)
        if mode == Mode.TRAIN:
            self._last.pending = self._pipeline.submit(self._completions(example, training_input))
        return example

    def _process_accumulated_batches(self, micro_batches: Any, micro_batch_sizes: Any, mode: Any) -> list[Any]:
        examples = super()._process_accumulated_batches(micro_batches, micro_batch_sizes, mode)
        if mode != Mode.TRAIN or not examples:
            return examples
        step, ends = self.rl_cluster.global_steps, np.cumsum(micro_batch_sizes)
        return [
            PendingExample(functools.partial(self._redeem, example, self._last.pending.part(rows), step, self._next_stream()))
            for example, rows in zip(examples, map(slice, ends - micro_batch_sizes, ends), strict=True)
        ]

    def _prepare_data(self, iterator: Any, *args: Any, data_queue: Any, mode: Any = Mode.TRAIN, **kwargs: Any) -> None:
        if mode != Mode.TRAIN:
            super()._prepare_data(iterator, *args, data_queue=data_queue, mode=mode, **kwargs)
            return
        redeemer = Redeemer(data_queue)
        try:
            super()._prepare_data(iterator, *args, data_queue=redeemer.pending, mode=mode, **kwargs)
        finally:
            redeemer.join()

    def _redeem(self, example: Any, pending: Pending, step: int, stream: np.random.Generator) -> Any:
        """The example with its credit, once the verdicts are there. Runs beside rollouts and updates."""
        credited = self._pipeline.redeem(pending, stream)
        self._log(step, credited)
        if not self.algo_config.use_cal:
            return example
        return example.replace(advantages=self._on_grid(credited.advantages_BT, np.asarray(example.completion_mask)))

    def _next_stream(self) -> np.random.Generator:
        """For formulas that draw: keyed by step and micro-batch within it, as the rollouts' noise is."""
        step = self.rl_cluster.global_steps
        self._drawn = (step, self._drawn[1] + 1 if step == self._drawn[0] else 0)
        return np.random.default_rng([self.algo_config.seed, *self._drawn])

    def _completions(self, example: Any, training_input: Any) -> list[Completion]:
        ids_BT, mask_BT = np.asarray(example.completion_ids), np.asarray(example.completion_mask)
        # Up to the last real token: where pad is eos the mask may have holes.
        lengths_B = [int(mask_T.nonzero()[0][-1]) + 1 if mask_T.any() else 0 for mask_T in mask_BT]
        logprobs_BT = self._logprobs(example)
        columns = zip(training_input["question"], training_input["reference"], strict=True)
        return [
            Completion(
                question=str(question),
                reference=str(reference),
                token_ids=ids_BT[row, :length].tolist(),
                grade=grade,
                reward=float(reward),
                logprobs=None if logprobs_BT is None else logprobs_BT[row, :length],
            )
            for row, (length, (question, reference), grade, reward) in enumerate(
                zip(lengths_B, columns, self._last.grades, self._last.rewards_B, strict=True)
            )
        ]

    def _logprobs(self, example: Any) -> np.ndarray | None:
        """(B, T) of the policy that sampled, at temperature 1; None where the formula does not read them."""
        if not self._pipeline.credit.reads_logprobs:
            return None
        logps_BT = example.old_per_token_logps
        if logps_BT is None:  # one pass more; Tunix's sampler returns them, but its learner keeps them to itself
            logps_BT = self.rl_cluster.get_old_per_token_logps(
                prompt_tokens=example.prompt_ids,
                completion_tokens=example.completion_ids,
                micro_batch_size=self._compute_logps_micro_batch_size * self.algo_config.num_generations,
            )
        return np.asarray(logps_BT)

    @staticmethod
    def _on_grid(advantages_BT: np.ndarray, mask_BT: np.ndarray) -> np.ndarray:
        """Pad to the engine's T (max tokens) and keep to tokens that the loss counts."""
        wide_BT = np.zeros(mask_BT.shape, dtype=np.float32)
        wide_BT[:, : advantages_BT.shape[1]] = advantages_BT
        return wide_BT * mask_BT

    def _log(self, step: int, credited: Credited) -> None:
        summed = {"asked", "found", "cached", "usd"}
        metrics: dict[str, Any] = {
            f"cal/{name}": (value, np.sum if name in summed else np.mean) for name, value in credited.metrics.items()
        }
        metrics |= {f"cal/missed/{reason}": (count, np.sum) for reason, count in credited.missed.items()}
        self.rl_cluster.buffer_metrics(metrics, mode=Mode.TRAIN)
        if self._on_credit is not None:
            self._on_credit(step, credited)
