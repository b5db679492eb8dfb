"""How does a policy read a question, on whatever engine it runs?"""

from cal_grpo.engines.reading.chat import prompt_ids, render
from cal_grpo.engines.reading.folder import travelling
from cal_grpo.engines.reading.plain_text import PlainText
from cal_grpo.engines.reading.prompts import batches, fitting, passes, prompts_of
from cal_grpo.engines.reading.tokenizer import load_tokenizer
from cal_grpo.policies import INDEX, read_json, weight_files

__all__ = [
    "INDEX",
    "PlainText",
    "batches",
    "fitting",
    "load_tokenizer",
    "passes",
    "prompt_ids",
    "prompts_of",
    "read_json",
    "render",
    "travelling",
    "weight_files",
]
