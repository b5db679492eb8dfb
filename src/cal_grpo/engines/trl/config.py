"""The algorithm's settings, beside all of TRL's own."""

import os
from dataclasses import dataclass, field
from typing import Any

from trl import GRPOConfig

from cal_grpo.alignment import OnAmbiguous
from cal_grpo.credit import (
    Baseline,
    Copies,
    Corrections,
    OnTrouble,
    Weights,
    check_baseline,
    check_corrections,
    check_on_trouble,
    formula,
)
from cal_grpo.errors import UsageError

# What would not be right with an advantage of its own for every token, and why.
_ONE_A_ROW = {
    "loss_type": ("vespo", "weighs a row by the sign of its one advantage"),
    "importance_sampling_level": ("sequence", "gives every token the gradient of its row's mean advantage"),
}
# Losses that are a mean over tokens: of a forward pass, or of the update.
COUNTED = ("bnpo", "dapo", "cispo")
# What TRL's own advantages are made with, and these are not.
_BASELINE = {"scale_rewards": "group", "multi_objective_aggregation": "sum_then_normalize"}


@dataclass
class CALGRPOConfig(GRPOConfig):
    """TRL's GRPO settings and CAL's.

    Attributes:
        use_cal: False is TRL's own GRPO, bit for bit; nothing below applies to it but ``loss_type``.
        baseline: what an answer is compared with: ``group``, the others to its question, or ``batch``, all that were sampled
            with it: those of an update, unless ``steps_per_generation`` says otherwise. With ``batch``, ``num_generations``
            may be 1.
        credit: the formula: a name or ``module:name``, see ``cal_grpo.credit.formula``.
        negative_reward: advantage of a blamed token, < 0.
        prefix_reward: advantage of the tokens before the error, >= 0 (``prefix`` only).
        prefix_share: share of these tokens that ``prefix_shortened`` and ``vppo`` pay.
        mask_probability: ``probability_mask`` leaves out tokens that were at least this likely.
        on_miss: what a wrong row gets when no error was named or the quote cannot be mapped: ``mean``, ``grpo``, ``drop`` or
            ``raise``, see ``cal_grpo.pipeline.CreditPipeline``.
        on_failure: the same for a call that failed.
        on_truncated: the same for an answer that was cut off, about which nobody is asked.
        train_end_token: the token that ended an answer is trained too, with the last token's credit. It stands in TRL's loss
            either way; without credit its advantage is 0.
        corrections: what is learned by heart of the text that a verdict says should have stood there: nothing (``off``), its
            first ``step``, or all the ``rest``, whose final answer must be graded right. See ``cal_grpo.pipeline.Corrector``.
        correction_weight: c in ``-c * log p`` of its tokens; 0 learns nothing. They are counted as ``loss_type`` counts the
            sampled ones, see ``corrections``.
        correction_copies: what becomes of a correction in the reference's own words, in an answer of another form: ``keep`` or
            ``drop``.
        max_span_tokens: a longer span is refused.
        on_ambiguous: a quote that occurs more than once and whose hint does not decide is its "first" occurrence, or a
            "miss".
        loss_type: how the tokens' losses become one number. ``bnpo`` is the mean over the tokens of a forward pass; ``dapo``,
            TRL's own default, that over the tokens of the update, whatever its forward passes.

    Raises:
        UsageError: unknown credit or fallback, a number of the wrong sign, an answer that is compared with no other, or a
            setting of TRL's that assumes one advantage a row.
    """

    use_cal: bool = field(default=True, metadata={"help": "False: TRL's own GRPO."})
    baseline: Baseline = field(default="group", metadata={"help": "What an answer is compared with: group, or batch."})
    credit: str = field(default="prefix", metadata={"help": "Formula that turns error spans into advantages."})
    negative_reward: float = field(default=-1.0, metadata={"help": "Advantage of a blamed token."})
    prefix_reward: float = field(default=0.3, metadata={"help": "Advantage of the tokens before the error."})
    prefix_share: float = field(default=0.5, metadata={"help": "Share of these that prefix_shortened and vppo pay."})
    mask_probability: float = field(default=0.9, metadata={"help": "probability_mask leaves out likelier tokens."})
    on_miss: OnTrouble = field(default="mean", metadata={"help": "What a wrong row without a span gets."})
    on_failure: OnTrouble = field(default="mean", metadata={"help": "The same for a failed call."})
    on_truncated: OnTrouble = field(default="mean", metadata={"help": "The same for an answer that was cut off."})
    train_end_token: bool = field(default=True, metadata={"help": "Train the token that ended an answer."})
    corrections: Corrections = field(default="off", metadata={"help": "Learn corrections: off, step, or rest."})
    correction_weight: float = field(default=1.0, metadata={"help": "Weight of a correction's tokens."})
    correction_copies: Copies = field(default="keep", metadata={"help": "Corrections copied from the reference."})
    max_span_tokens: int = field(default=64, metadata={"help": "A longer span is refused."})
    on_ambiguous: OnAmbiguous = field(default="first", metadata={"help": "A quote that occurs twice: first, or miss."})
    loss_type: str = field(default="bnpo", metadata={"help": "Aggregation of the tokens' losses; see GRPOConfig."})

    def __post_init__(self) -> None:
        given = self.num_generations or 0
        check_baseline(self.baseline, given, use_cal=self.use_cal, rows=self._sampled_together() if given == 1 else None)
        if given == 1:
            # TRL refuses 1 for the sake of its own advantages, and a group that does not divide what is sampled together (trl
            # 1.16.0, trainer/grpo_config.py, 1131-1141). It is shown the group that an answer is compared with: all of them.
            self.num_generations: int | None = self._sampled_together()
            self.num_generations_eval: int | None = self.num_generations_eval or 1
        super().__post_init__()
        self.num_generations = given
        if self.remove_unused_columns:
            raise UsageError("remove_unused_columns is true, but grading reads columns that the model does not; leave it false")
        if not isinstance(self.credit, str):
            raise UsageError(
                "credit is no name, but TRL writes its config as JSON; hand a function to CALGRPOTrainer(credit=...)"
            )
        formula(self.credit)
        self.weights()
        check_corrections(self.corrections, self.correction_weight, self.correction_copies, use_cal=self.use_cal)
        if self.teaches and self.loss_type not in COUNTED:
            raise UsageError(
                f"corrections is {self.corrections} with loss_type={self.loss_type}; expected one of {', '.join(COUNTED)}, as "
                "a correction's tokens are counted as the sampled ones are"
            )
        check_on_trouble(on_miss=self.on_miss, on_failure=self.on_failure, on_truncated=self.on_truncated)
        if self.use_cal:
            self._check_rows()

    def _sampled_together(self) -> int:
        """Answers, as TRL counts them (1105-1121); it does so in ``__post_init__``, with the check."""
        if self.generation_batch_size is not None:
            return self.generation_batch_size
        steps = self.steps_per_generation or self.gradient_accumulation_steps
        return self.per_device_train_batch_size * int(os.environ.get("WORLD_SIZE", "1")) * steps

    def _check_rows(self) -> None:
        for name, (value, reason) in _ONE_A_ROW.items():
            if getattr(self, name) == value:
                raise UsageError(f"{name} is {value!r}, which {reason}; credit is for tokens: choose another, or use_cal=False")
        if self.off_policy_mask_threshold is not None:
            raise UsageError(
                f"off_policy_mask_threshold is {self.off_policy_mask_threshold}, which drops rows by the sign of their one "
                "advantage; credit is for tokens: leave it unset, or use_cal=False"
            )
        for name, value in _BASELINE.items():
            if getattr(self, name) != value:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}, but credit has its own baseline; leave it {value!r}, or use_cal=False"
                )

    @property
    def teaches(self) -> bool:
        """Whether corrections are learned."""
        return self.use_cal and self.corrections != "off" and self.correction_weight > 0

    def weights(self) -> Weights:
        """The credit formula's numbers."""
        return Weights(self.negative_reward, self.prefix_reward, self.prefix_share, self.mask_probability)

    def pipeline_settings(self) -> dict[str, Any]:
        """What a ``CreditPipeline`` takes of these by its own names."""
        names = ("baseline", "on_miss", "on_failure", "on_truncated")
        return {"weights": self.weights(), "group_size": self.num_generations, **{name: getattr(self, name) for name in names}}
