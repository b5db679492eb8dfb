"""The algorithm's settings, as Tunix wants them: names and numbers only, for Tunix copies them on every step."""

import dataclasses
import warnings
from typing import get_args

from tunix.rl.grpo.grpo_learner import GRPOConfig

from cal_grpo.alignment import OnAmbiguous
from cal_grpo.credit import Compute, Formula, Weights, formula
from cal_grpo.errors import UsageError
from cal_grpo.pipeline import OnTrouble


@dataclasses.dataclass(kw_only=True)
class CALGRPOConfig(GRPOConfig):
    """GRPO's settings and CAL's.

    Attributes:
        use_cal: False is Tunix's own GRPO, bit for bit; nothing below applies to it but ``seed`` and the loss's modes.
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
        max_span_tokens: a longer span is refused.
        on_ambiguous: a quote that occurs more than once and whose hint does not decide is its "first" occurrence, or a
            "miss".
        seed: of the rollouts' noise and of formulas that draw.
        loss_agg_mode: the only place where credit is scaled.
        kl_loss_mode: estimator of the KL term. The default is GRPO's own (arXiv 2402.03300, equation 4). Tunix's default,
            ``kl``, is ``logp - ref_logp``: as a loss its gradient is that of ``logp`` alone, which is zero in expectation
            however far the policy has moved, so that it holds nothing.

    Raises:
        UsageError: unknown credit or fallback, a number of the wrong sign, fewer than two generations.
    """

    use_cal: bool = True
    credit: str | Compute | Formula = "prefix"
    negative_reward: float = -1.0
    prefix_reward: float = 0.3
    prefix_share: float = 0.5
    mask_probability: float = 0.9
    on_miss: OnTrouble = "mean"
    on_failure: OnTrouble = "mean"
    on_truncated: OnTrouble = "mean"
    train_end_token: bool = True
    max_span_tokens: int = 64
    on_ambiguous: OnAmbiguous = "first"
    seed: int = 0
    loss_agg_mode: str = "token-mean"
    kl_loss_mode: str = "low_var_kl"

    def __post_init__(self) -> None:
        if self.num_generations < 2:
            raise UsageError(
                f"num_generations is {self.num_generations}; expected at least 2, as credit is relative to a group"
            )
        super().__post_init__()
        formula(self.credit)
        self.weights()
        for name in ("on_miss", "on_failure", "on_truncated"):
            if getattr(self, name) not in get_args(OnTrouble):
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(get_args(OnTrouble))}")
        if self.use_cal and self.credit == "sparse" and self.beta == 0.0:
            warnings.warn(
                "credit='sparse' only pushes down; with beta=0 nothing holds the policy and it collapses. "
                "Set beta > 0 or choose another credit.",
                stacklevel=3,
            )

    def weights(self) -> Weights:
        """The credit formula's numbers."""
        return Weights(self.negative_reward, self.prefix_reward, self.prefix_share, self.mask_probability)
