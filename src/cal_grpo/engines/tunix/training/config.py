"""The algorithm's settings, as Tunix wants them: names and numbers only, for Tunix copies them on every step."""

import dataclasses
import warnings

import numpy as np
from tunix.rl import function_registry
from tunix.rl.grpo.grpo_learner import GRPOConfig

from cal_grpo.alignment import OnAmbiguous
from cal_grpo.credit import (
    Baseline,
    Compute,
    Copies,
    Corrections,
    Formula,
    OnTrouble,
    Weights,
    check_baseline,
    check_corrections,
    check_on_trouble,
    formula,
    group_relative,
)
from cal_grpo.errors import UsageError

_OVER_THE_BATCH = "cal_grpo_batch"


def _over_the_batch(rewards: np.ndarray, num_generations: int) -> np.ndarray:
    """What Tunix's metric functions and evaluation see: its own estimator gives NaN where a question has one answer."""
    return group_relative(rewards, len(rewards)) if len(rewards) > 1 else np.zeros_like(rewards)


function_registry.register_advantage_estimator(_OVER_THE_BATCH)(_over_the_batch)


@dataclasses.dataclass(kw_only=True)
class CALGRPOConfig(GRPOConfig):
    """GRPO's settings and CAL's.

    Attributes:
        use_cal: False is Tunix's own GRPO, bit for bit; nothing below applies to it but ``seed`` and the loss's modes.
        baseline: what an answer is compared with: ``group``, the others to its question, or ``batch``, all of its update. With
            ``batch``, ``num_generations`` may be 1.
        credit: the formula: a name, ``module:name`` or a function, see ``cal_grpo.credit.formula``.
        negative_reward: advantage of a blamed token, < 0.
        prefix_reward: advantage of the tokens before the error, >= 0 (``prefix`` only).
        prefix_share: share of these tokens that ``prefix_shortened`` and ``vppo`` pay.
        mask_probability: ``probability_mask`` leaves out tokens that were at least this likely.
        on_miss: what a wrong row gets when no error was named or the quote cannot be mapped: ``mean``, ``grpo``, ``drop`` or
            ``raise``, see ``cal_grpo.pipeline.CreditPipeline``.
        on_failure: the same for a call that failed.
        on_truncated: the same for an answer that was cut off, about which nobody is asked.
        train_end_token: the token that ended an answer is trained too, with the last token's credit.
        corrections: what is learned by heart of the text that a verdict says should have stood there: nothing (``off``), its
            first ``step``, or all the ``rest``, whose final answer must be graded right. See ``cal_grpo.pipeline.Corrector``.
        correction_weight: c in ``-c * log p`` of its tokens, over the count of sampled tokens; 0 learns nothing.
        correction_copies: what becomes of a correction in the reference's own words, in an answer of another form: ``keep`` or
            ``drop``.
        max_span_tokens: a longer span is refused.
        on_ambiguous: a quote that occurs more than once and whose hint does not decide is its "first" occurrence, or a
            "miss".
        seed: of the rollouts' noise and of formulas that draw.
        loss_agg_mode: the only place where credit is scaled: a mean over the update, whatever its micro-batches.
        kl_loss_mode: estimator of the KL term. The default is GRPO's own (arXiv 2402.03300, equation 4). Tunix's default,
            ``kl``, is ``logp - ref_logp``: as a loss its gradient is that of ``logp`` alone, which is zero in expectation
            however far the policy has moved, so that it holds nothing.

    Raises:
        UsageError: unknown credit or fallback, a number of the wrong sign, an answer that is compared with no other.
    """

    num_generations: int = 2
    advantage_estimator: str = "grpo"
    use_cal: bool = True
    baseline: Baseline = "group"
    credit: str | Compute | Formula = "prefix"
    negative_reward: float = -1.0
    prefix_reward: float = 0.3
    prefix_share: float = 0.5
    mask_probability: float = 0.9
    on_miss: OnTrouble = "mean"
    on_failure: OnTrouble = "mean"
    on_truncated: OnTrouble = "mean"
    train_end_token: bool = True
    corrections: Corrections = "off"
    correction_weight: float = 1.0
    correction_copies: Copies = "keep"
    max_span_tokens: int = 64
    on_ambiguous: OnAmbiguous = "first"
    seed: int = 0
    loss_agg_mode: str = "token-mean"
    kl_loss_mode: str = "low_var_kl"

    def __post_init__(self) -> None:
        check_baseline(self.baseline, self.num_generations, use_cal=self.use_cal)
        given = self.num_generations
        # Tunix refuses 1, for the sake of its own advantages (tunix 0.1.7, rl/grpo/grpo_learner.py, ``GRPOConfig``).
        self.num_generations = max(given, 2)
        super().__post_init__()
        self.num_generations = given
        if self.baseline == "batch" and self.advantage_estimator == "grpo":
            self.advantage_estimator = _OVER_THE_BATCH
        formula(self.credit)
        self.weights()
        check_corrections(self.corrections, self.correction_weight, self.correction_copies, use_cal=self.use_cal)
        if self.teaches and self.loss_agg_mode != "token-mean":
            raise UsageError(
                f"corrections is {self.corrections} with loss_agg_mode={self.loss_agg_mode}; expected token-mean, as a "
                "correction's tokens are counted as the sampled ones are"
            )
        check_on_trouble(on_miss=self.on_miss, on_failure=self.on_failure, on_truncated=self.on_truncated)
        if self.use_cal and self.credit == "sparse" and self.beta == 0.0:
            warnings.warn(
                "credit='sparse' only pushes down; with beta=0 nothing holds the policy and it collapses. "
                "Set beta > 0 or choose another credit.",
                stacklevel=3,
            )

    @property
    def teaches(self) -> bool:
        """Whether corrections are learned."""
        return self.use_cal and self.corrections != "off" and self.correction_weight > 0

    def weights(self) -> Weights:
        """The credit formula's numbers."""
        return Weights(self.negative_reward, self.prefix_reward, self.prefix_share, self.mask_probability)
