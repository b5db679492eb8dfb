"""Chat messages: read from a data file, and made for the policy."""

from collections.abc import Mapping, Sequence
from typing import Any

from cal_grpo.tasks.types import Example, Message

_ROLES = ("system", "user", "assistant")


def read_messages(value: Sequence[Any]) -> tuple[str, tuple[Message, ...]]:
    """The question of a conversation, its last user message, and what stands before it. What follows it is left out.

    Raises:
        ValueError: there is no question, or a message that is not text; the message says what.
    """
    messages = [_message(item) for item in value]
    asked = [i for i, (role, _) in enumerate(messages) if role == "user"]
    if not asked:
        raise ValueError(f"has no user message in {len(messages)}; expected one that asks the question")
    if any(role == "system" for role, _ in messages[1 : asked[-1]]):
        raise ValueError("has a system message that is not the first; expected at most one, in front")
    return messages[asked[-1]][1], tuple(messages[: asked[-1]])


def _message(item: Any) -> Message:
    role, content = (item.get("role"), item.get("content")) if isinstance(item, Mapping) else (None, None)
    if role not in _ROLES:
        raise ValueError(f"has a message with the role {ascii(role)[:40]}; expected {', '.join(_ROLES)}")
    if isinstance(content, Sequence) and not isinstance(content, str):  # in parts, as models that see images take it
        parts = [part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None for part in content]
        content = "".join(part for part in parts if part is not None) if None not in parts else content
    if not isinstance(content, str):
        raise ValueError(f"has a {role} message that is {ascii(content)[:60]}; expected text")
    return str(role), content


def messages_for(example: Example, system: str | None = None, answer_format: str | None = None) -> list[dict[str, str]]:
    """What the policy is shown: the system prompt, unless the example has its own, earlier turns, and the question with the
    answer format behind it."""
    before = example.before
    if system and not (before and before[0][0] == "system"):
        before = (("system", system), *before)
    question = f"{example.question}\n\n{answer_format}" if answer_format else example.question
    return [{"role": role, "content": content} for role, content in (*before, ("user", question))]
