"""Words for the screen: what something cost, and text from outside made harmless."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cal_grpo.oracles import Usage


def cost(usage: "Usage") -> str:
    """What an answer took, in words."""
    if not usage.calls:
        return "no call"
    usd = "price unknown" if usage.usd is None else f"${usage.usd:.6f}".rstrip("0").rstrip(".")
    return f"{usage.latency_s:.2f} s, {usage.prompt_tokens} + {usage.completion_tokens} tokens, {usd}"


def printable(text: str) -> str:
    """Text from outside without what a terminal would obey; as long as before."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c == "\t" else "�" for c in text)
