"""The algorithm's settings, as Tunix wants them: names and numbers only, for Tunix copies them on every step."""

import dataclasses
import warnings

from tunix.rl.grpo.grpo_learner import GRPOConfig

from cal_grpo.alignment import OnAmbiguous
from cal_grpo.credit import Compute, Formula, Weights, formula
from cal_grpo.errors import UsageError
from cal_grpo.pipeline import OnTrouble


@dataclasses.dataclass(kw_only=True)
class CALGRPOConfig(GRPOConfig):
    """GRPO's settings and CAL's.

    Attributes:
        use_cal: False trains plain Tunix GRPO: same code path, same parameters bit for bit.
        credit: the formula: a name, ``module:name`` or a function, see ``cal_grpo.credit.formula``.
        negative_reward: advantage of a blamed token, < 0.
        prefix_reward: advantage of the tokens before the error, >= 0 (``prefix`` only).
        on_miss: what a wrong row gets when no error was named or the quote cannot be mapped; None means ``grpo``, and
            ``drop`` under ``sparse``.
        on_failure: the same for a call that failed.
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
    on_miss: OnTrouble | None = None
    on_failure: OnTrouble | None = None
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
        fallback: OnTrouble = "drop" if self.credit == "sparse" else "grpo"
        self.on_miss = self._checked("on_miss", self.on_miss or fallback)
        self.on_failure = self._checked("on_failure", self.on_failure or fallback)
        if self.use_cal and self.credit == "sparse" and self.beta == 0.0:
            warnings.warn(
                "credit='sparse' only pushes down; with beta=0 nothing holds the policy and it collapses. "
                "Set beta > 0 or choose another credit.",
                stacklevel=3,
            )

    def weights(self) -> Weights:
        """The credit formula's numbers."""
        return Weights(self.negative_reward, self.prefix_reward)

    @staticmethod
    def _checked(name: str, value: OnTrouble) -> OnTrouble:
        if value not in ("drop", "grpo", "raise"):
            raise UsageError(f"{name} is {value!r}; expected 'drop', 'grpo' or 'raise'")
        return value
