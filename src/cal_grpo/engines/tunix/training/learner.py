"""The learner: Tunix's GRPO with per-token advantages from the credit pipeline.

Tunix's GRPO loss already takes a (B, T) advantage, so nothing of the loop is copied: hooks are overridden to see the
grades, to ask about the wrong answers, and to swap the advantages once the verdicts are there (tunix 0.1.7,
rl/grpo/grpo_learner.py; ``overlap`` has the reasons for the last two).
"""

import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from tunix.rl import function_registry
from tunix.rl.grpo.grpo_learner import GRPOLearner
from tunix.rl.rl_cluster import Mode, RLCluster

from cal_grpo.alignment import Aligner
from cal_grpo.credit import formula
from cal_grpo.engines import cal_metrics
from cal_grpo.engines.reading import PlainText
from cal_grpo.engines.tunix.rollouts import end_ids, keep_end_tokens, seed_rollouts
from cal_grpo.engines.tunix.training.columns import COLUMNS, with_columns
from cal_grpo.engines.tunix.training.completions import completions_of
from cal_grpo.engines.tunix.training.config import CALGRPOConfig
from cal_grpo.engines.tunix.training.corrections import corrected, with_corrections
from cal_grpo.engines.tunix.training.finite import stop_when_not_finite
from cal_grpo.engines.tunix.training.guard import UpdateGuard, check_hooks
from cal_grpo.engines.tunix.training.logps import Loss, chunk_passes, in_chunks
from cal_grpo.engines.tunix.training.overlap import PendingExample, Redeemer
from cal_grpo.engines.tunix.training.shares import CORRECTION_LOSS, Shares, by_share
from cal_grpo.errors import UsageError
from cal_grpo.grading import Grade
from cal_grpo.oracles import CALOracle, Oracle
from cal_grpo.pipeline import Corrector, Credited, CreditPipeline, Pending, Update
from cal_grpo.tasks import Example, Grader, grade_by_answer, graded

OnCredit = Callable[[int, Credited], None]


class CALGRPOLearner(GRPOLearner[CALGRPOConfig]):
    """Tunix's GRPO learner with CAL's credit. Tunix's arguments come first, by its names and in its order.

    Args:
        rl_cluster: Tunix's cluster, with a reference policy when ``algo_config.beta`` is not 0.
        algo_config: see ``CALGRPOConfig``.
        reward_fns: replaces grading as the source of rewards; grading still decides which rows are wrong. None: a right
            answer's reward is 1, a wrong one's 0.
        metric_fns, data_shuffle_seed: as in Tunix.
        oracle: a ``CALOracle`` or any object with ``async locate(query) -> Verdict``. Not asked when ``use_cal`` is
            off, for right answers, and in evaluation.
        on_credit: called with the global step and what became of each training micro-batch, in order, on one thread.
        grade: the task's grader, ``(response, example) -> Grade``.

    Batches need the columns ``prompts`` (ready for the model), ``question``, ``answer`` and ``reference``, each a numpy
    array of strings. A column ``example`` of ``Example`` objects, which ``batches`` adds, is what the grader and the reward
    functions are given too; without it the grader's example is made of the others.

    Raises:
        UsageError: another kind of config, no oracle for a credit that needs one, packed sequences, several processes; in
            ``train``, a batch without a column, the first one before anything is sampled.
    """

    def __init__(
        self,
        rl_cluster: RLCluster,
        algo_config: CALGRPOConfig,
        reward_fns: Any = None,
        metric_fns: Sequence[Any] | None = None,
        data_shuffle_seed: int | None = None,
        *,
        oracle: CALOracle | Oracle | None = None,
        on_credit: OnCredit | None = None,
        grade: Grader = grade_by_answer,
    ) -> None:
        if not isinstance(algo_config, CALGRPOConfig):
            raise UsageError(
                f"algo_config is a {type(algo_config).__name__}; expected a CALGRPOConfig, which extends GRPOConfig"
            )
        check_hooks()
        super().__init__(rl_cluster, algo_config, reward_fns or self._grade, metric_fns, data_shuffle_seed)
        if rl_cluster.cluster_config.training_config.max_seq_token_per_tpu is not None:
            # tunix 0.1.7: packing with gradient accumulation changes no parameter at all
            raise UsageError("max_seq_token_per_tpu is set; CAL-GRPO trains unpacked sequences: leave it None")
        if jax.process_count() > 1:
            raise UsageError(
                f"jax runs {jax.process_count()} processes; expected one: each would ask the oracle for itself, get answers of "
                "its own and diverge. Use one (Pathways has one controller and works), or the engine trl, which takes several"
            )
        if algo_config.use_cal and algo_config.num_iterations > 1 and self.algo_config.temperature != 1.0:
            # tunix 0.1.7, rl/grpo/grpo_learner.py: the old log-probs are taken at temperature 1, the new ones at the rollouts'
            raise UsageError(
                f"num_iterations is {algo_config.num_iterations} and the rollouts' temperature "
                f"{self.algo_config.temperature:g}: Tunix would compare log-probs at two temperatures; set one of them to 1"
            )
        # Tunix computes the entropy with every loss but logs only the other two (tunix 0.1.7, rl/grpo/grpo_learner.py).
        logged = ["kl", "pg_clipfrac", "entropy", *([CORRECTION_LOSS] if algo_config.teaches else [])]
        rl_cluster.actor_trainer.with_rl_metrics_to_log(dict.fromkeys(logged, np.mean))
        self._ends = end_ids(self.rl_cluster)
        self._end_tokens = algo_config.use_cal and algo_config.train_end_token and keep_end_tokens(self.rl_cluster)
        seed_rollouts(self.rl_cluster, algo_config.seed)
        self._guard = None
        if algo_config.use_cal:
            self._guard = UpdateGuard(self.rl_cluster, algo_config.num_iterations)
            rl_cluster.actor_trainer.with_loss_fn(by_share(self._loss()), has_aux=True)
            chunk_passes(rl_cluster)
        stop_when_not_finite(rl_cluster.actor_trainer)
        # Evaluation can run on the main thread while training data is prepared on another.
        self._last = threading.local()
        self._on_credit = on_credit
        self._grader = grade
        self._drawn = (-1, 0)
        self._pipeline = self._build_pipeline(algo_config, oracle)

    def train(self, train_ds: Iterable[Any], eval_ds: Iterable[Any] | None = None, skip_jit: bool = False) -> None:
        """Tunix's loop, over batches that are looked at before they are sampled from."""
        super().train(with_columns(train_ds), None if eval_ds is None else with_columns(eval_ds), skip_jit)
        self._check_update()

    def _check_update(self) -> None:
        if self._guard is not None:
            self._guard.check()

    def _loss(self) -> Loss:
        """Tunix's, called as its learner calls it (tunix 0.1.7, rl/grpo/grpo_learner.py), and what is added to it."""
        config, rollout = self.algo_config, self.rl_cluster.rollout
        policy_loss = in_chunks(function_registry.get_policy_loss_fn(config.policy_loss_fn))

        def loss(model: Any, train_example: Any, algo_config: Any) -> tuple[jax.Array, dict[str, Any]]:
            return policy_loss(model, train_example, algo_config=algo_config, pad_id=rollout.pad_id(), eos_id=rollout.eos_id())

        if not config.teaches:
            return loss
        return with_corrections(loss, config.correction_weight, rollout.pad_id(), rollout.eos_id())

    def _build_pipeline(self, config: CALGRPOConfig, oracle: CALOracle | Oracle | None) -> CreditPipeline:
        # Plain GRPO goes through the pipeline too, for its records; it asks nothing and its advantages stay Tunix's.
        credit = formula(config.credit if config.use_cal else "grpo")
        if oracle is None and (credit.needs_oracle or config.teaches):
            what = f"credit={credit.name!r}" if credit.needs_oracle else f"corrections={config.corrections!r}"
            raise UsageError(f"{what} needs an oracle; pass oracle=CALOracle(...) or set use_cal=False")
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
            on_miss=config.on_miss,
            on_failure=config.on_failure,
            on_truncated=config.on_truncated,
            baseline=config.baseline,
            corrector=self._corrector(config),
        )

    def _corrector(self, config: CALGRPOConfig) -> Corrector | None:
        if not config.teaches or config.corrections == "off":
            return None
        return Corrector(
            config.corrections,
            encode=PlainText(self.rl_cluster.tokenizer.tokenizer).continuing,
            max_tokens=self.rl_cluster.get_rollout_config(mode=Mode.TRAIN).max_tokens_to_generate,
            copies=config.correction_copies,
        )

    def _compute_rewards(self, prompts: Any, completions: Any, mode: Any, step: Any = None, **columns: Any) -> np.ndarray:
        examples = columns.get("example")
        if examples is None:
            rows = zip(*(map(str, columns[name]) for name in COLUMNS[1:]), strict=True)
            examples = [Example(question, answer, reference) for question, answer, reference in rows]
        self._last.regrades = [functools.partial(self._graded, example) for example in examples]
        self._last.grades = [grade(text) for grade, text in zip(self._last.regrades, completions, strict=True)]
        self._last.rewards_B = super()._compute_rewards(prompts, completions, mode, step, **columns)
        return self._last.rewards_B

    def _graded(self, example: Example, text: str) -> Grade:
        return graded(self._grader, text, example)

    def _grade(self, prompts: Any, completions: Any, **_: Any) -> list[float]:
        grades: list[Grade] = self._last.grades
        return [float(grade.correct) for grade in grades]

    def _generate_and_compute_advantage(self, training_input: Any, mode: Mode = Mode.TRAIN) -> Any:
        example = super()._generate_and_compute_advantage(training_input, mode)
        if mode == Mode.TRAIN:
            completions = completions_of(
                example, training_input, self._last.grades, self._last.rewards_B, self._logprobs(example), self._ends,
                self._end_tokens, self._last.regrades,
            )  # fmt: skip
            self._last.pending = self._pipeline.submit(completions)
        return example

    def _process_accumulated_batches(self, micro_batches: Any, micro_batch_sizes: Any, mode: Any) -> list[Any]:
        examples = super()._process_accumulated_batches(micro_batches, micro_batch_sizes, mode)
        if mode != Mode.TRAIN or not examples:
            return examples
        step, ends = self.rl_cluster.global_steps, np.cumsum(micro_batch_sizes)
        parts = [self._last.pending.part(rows, self._next_stream()) for rows in map(slice, ends - micro_batch_sizes, ends)]
        for example, part in zip(examples, parts, strict=True):
            self._update.add(part)
            self._shares.add(example)
        return [
            PendingExample(functools.partial(self._redeem, example, self._update, self._shares, part, step))
            for example, part in zip(examples, parts, strict=True)
        ]

    def _prepare_data(self, iterator: Any, *args: Any, data_queue: Any, mode: Any = Mode.TRAIN, **kwargs: Any) -> None:
        if mode != Mode.TRAIN:
            super()._prepare_data(iterator, *args, data_queue=data_queue, mode=mode, **kwargs)
            return
        try:
            self._check_update()  # the one before: Tunix calls this once an update
        except UsageError:
            data_queue.put(None)  # the end, without which the main thread would wait for ever
            raise
        self._update, self._shares = Update(self._pipeline), Shares(self.algo_config.loss_agg_mode)
        redeemer = Redeemer(data_queue)
        try:
            super()._prepare_data(iterator, *args, data_queue=redeemer.pending, mode=mode, **kwargs)
        finally:
            self._update.close()
            self._shares.close()
            redeemer.join()

    def _redeem(self, example: Any, update: Update, shares: Shares, part: Pending, step: int) -> Any:
        """The example with its credit, once the verdicts are there. Runs beside rollouts and updates."""
        credited = update.redeem(part)
        self._log(step, credited)
        if self._guard is None:
            return example
        self._guard.credited += len(part.completions)
        advantages_BT = self._on_grid(credited.advantages_BT, np.asarray(example.completion_mask))
        example = example.replace(advantages=advantages_BT)
        if self._pipeline.corrector is not None:
            example = corrected(example, part.completions, credited.corrections, self.rl_cluster.rollout.pad_id())
        return shares.weighed(example)

    def _next_stream(self) -> tuple[int, ...]:
        """For formulas that draw: keyed by step and micro-batch within it, as the rollouts' noise is."""
        step = self.rl_cluster.global_steps
        self._drawn = (step, self._drawn[1] + 1 if step == self._drawn[0] else 0)
        return self.algo_config.seed, *self._drawn

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
        width = min(advantages_BT.shape[1], mask_BT.shape[1])  # one more where a cut-off answer stands beside one that ended
        wide_BT[:, :width] = advantages_BT[:, :width]
        return wide_BT * mask_BT

    def _log(self, step: int, credited: Credited) -> None:
        over = {"sum": np.sum, "mean": np.mean}
        metrics: dict[str, Any] = {name: (value, over[how]) for name, (value, how) in cal_metrics(credited).items()}
        self.rl_cluster.buffer_metrics(metrics, mode=Mode.TRAIN)
        if self._on_credit is not None:
            self._on_credit(step, credited)
