"""How the policy reads a question: its chat template, and no token that the template did not write."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cal_grpo.errors import UsageError


def render(question: str | Sequence[Mapping[str, str]], tokenizer: Any, arguments: Mapping[str, Any] | None = None) -> str:
    """A question, or messages that end with one, in the policy's chat template, ready for the answer.

    Raises:
        UsageError: the policy has no template, or one that does not parse, raises, is not named, leaves out the system message,
            or does not read an argument.
    """
    if not tokenizer.chat_template:
        raise UsageError(
            f"{tokenizer.name_or_path}: the tokenizer has no chat_template; choose a checkpoint with one (an instruct model), "
            "or add chat_template.jinja to the folder"
        )
    for name in arguments or ():
        if name not in str(tokenizer.chat_template):
            raise UsageError(
                f"{tokenizer.name_or_path}: its chat template does not read {name!r}; correct chat.template_arguments"
            )
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else list(question)
    try:
        prompt = str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **(arguments or {})))
    except Exception as e:  # a template is a program
        reason = f"{type(e).__name__}: {' '.join(str(e).split())}"
        raise UsageError(_refusal(tokenizer, f"cannot be used ({reason:.200})")) from e
    if messages[0]["role"] == "system" and messages[0]["content"].strip() not in prompt:
        raise UsageError(
            f"{tokenizer.name_or_path}: its chat template leaves the system message out; use chat.answer_format instead"
        )
    return prompt


def check_template(tokenizer: Any, system: str | None = None) -> None:
    """Try a tokenizer's chat template, with the run's system prompt where it has one, for a template may want one.

    Raises:
        UsageError: it does not work, or what it writes lacks the question.
    """
    question = "What is 17 plus 25"
    before = [{"role": "system", "content": system}] if system else []
    if question not in (written := render([*before, {"role": "user", "content": question}], tokenizer)):
        raise UsageError(_refusal(tokenizer, f"writes {written[:40]!r} for the question {question!r}, which is not in it"))


def _refusal(tokenizer: Any, problem: str) -> str:
    apart = Path(tokenizer.name_or_path) / "chat_template.jinja"
    file = apart if apart.exists() else apart.with_name("tokenizer_config.json")
    return f"{file}: chat_template {problem}; expected one that writes a user's question: correct it"


def prompt_ids(prompt: str, tokenizer: Any) -> list[int]:
    """A rendered prompt's ids: the template has written every special token that belongs there."""
    return list(tokenizer.encode(prompt, add_special_tokens=False))
