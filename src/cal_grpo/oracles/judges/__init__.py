"""Where is the first error, when an LLM is asked?"""

from cal_grpo.oracles.judges.few_shot import FewShot, load_few_shot
from cal_grpo.oracles.judges.gemini import DEFAULT_MODEL as DEFAULT_GEMINI
from cal_grpo.oracles.judges.gemini import GeminiOracle
from cal_grpo.oracles.judges.http import check_endpoint
from cal_grpo.oracles.judges.openai import OpenAIOracle
from cal_grpo.oracles.judges.prices import Price, price_of
from cal_grpo.oracles.judges.prompt import DIRECT, PromptStyle, query_prompt, static_prompt
from cal_grpo.oracles.judges.reading import read_answer
from cal_grpo.oracles.judges.replies import cut_off, identity, required_model
from cal_grpo.oracles.judges.styles import style_of

__all__ = [
    "DEFAULT_GEMINI",
    "DIRECT",
    "FewShot",
    "GeminiOracle",
    "OpenAIOracle",
    "Price",
    "PromptStyle",
    "check_endpoint",
    "cut_off",
    "identity",
    "load_few_shot",
    "price_of",
    "query_prompt",
    "read_answer",
    "required_model",
    "static_prompt",
    "style_of",
]
