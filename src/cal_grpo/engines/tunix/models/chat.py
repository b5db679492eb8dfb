"""How the policy reads a question: its chat template, and no token that the template did not write."""

from typing import Any

import numpy as np

from cal_grpo.errors import UsageError


def render(question: str, tokenizer: Any) -> str:
    """The question in the policy's chat template, ready for its answer.

    Raises:
        UsageError: the policy has no template.
    """
    if not tokenizer.chat_template:
        raise UsageError(
            f"{tokenizer.name_or_path}: the tokenizer has no chat_template; choose a checkpoint with one (an instruct model), "
            "or add chat_template.jinja to the folder"
        )
    messages = [{"role": "user", "content": question}]
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


def prompt_ids(prompt: str, tokenizer: Any) -> list[int]:
    """A rendered prompt's ids: the template has written every special token that belongs there."""
    return list(tokenizer.encode(prompt, add_special_tokens=False))


def read_prompts_as_rendered(sampler: Any, tokenizer: Any) -> None:
    """Make Tunix's sampler read prompts as ``prompt_ids`` does.

    By itself it puts a BOS token in front whenever the tokenizer has one, wanted or not (tunix 0.1.7, generate/sampler.py,
    ``Sampler.tokenize``).
    """
    sampler.tokenize = lambda prompt: np.array(prompt_ids(prompt, tokenizer), dtype=np.int32)
