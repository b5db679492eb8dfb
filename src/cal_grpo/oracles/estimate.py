"""What will verdicts cost? Said before any is bought."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cal_grpo.oracles.judges import DEFAULT_GEMINI, Price, load_few_shot, price_of, query_prompt, static_prompt, style_of
from cal_grpo.oracles.several import named_in
from cal_grpo.oracles.types import Query

_CHARACTERS = 3.5  # of a token: between English prose and sums
_CRITIQUE = 120  # tokens of a critique with its quote
_PRICED = ("openai", "gemini")


class VerdictCost(NamedTuple):
    """What a judge's verdict may cost.

    Attributes:
        model: as its provider names it.
        prompt_tokens, answer_tokens: of one verdict, about; what a model thinks is not in them.
        price: None where it is not known.
        critiques: how many of the judge are asked for a verdict.
    """

    model: str
    prompt_tokens: int
    answer_tokens: int
    price: Price | None
    critiques: int

    @property
    def usd_per_1000(self) -> float | None:
        """Dollars for a thousand verdicts, each asked for once; None where the price is not known."""
        if self.price is None:
            return None
        return 1000 * self.critiques * self.price.usd(self.prompt_tokens, self.answer_tokens)


def verdict_costs(
    provider: str,
    queries: Sequence[Query],
    *,
    model: str | None = None,
    few_shot: Path | str | None = None,
    style: str = "direct",
    corrections: bool = False,
    max_answer_tokens: int | None = None,
    prices: Path | str | None = None,
) -> list[VerdictCost]:
    """Each judge with a price list in a provider's name or line of several, as if it were asked each time. No key is needed.

    Tokens are counted from the lengths of the prompts that would be sent.

    Args:
        provider, model, few_shot, style, corrections, max_answer_tokens, prices: see ``CALOracle``.
        queries: at least one, such as will be asked.

    Raises:
        UsageError: the line cannot be read, or a file of examples or prices.
    """
    asked = style_of(style, corrections)
    static = static_prompt(load_few_shot(few_shot) if few_shot is not None else (), asked)
    prompts = [len(static) + len(query_prompt(query, asked)) for query in queries]
    responses = sum(len(query.response) for query in queries) / len(queries) / _CHARACTERS
    # A repair is the whole response once more, and a correction what is left of it
    answer = round(_CRITIQUE + (responses if style == "repair" or corrections else 0))
    names = [name.partition(":") for name in named_in(provider)]
    models = [own or model or (DEFAULT_GEMINI if name == "gemini" else "") for name, _, own in names if name in _PRICED]
    return [
        VerdictCost(
            one,
            round(sum(prompts) / len(prompts) / _CHARACTERS),
            min(answer, max_answer_tokens or answer),
            price_of(one, prices),
            models.count(one),
        )
        for one in dict.fromkeys(models)
        if one
    ]
