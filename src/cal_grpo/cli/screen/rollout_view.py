"""A rollout as a person reads it in a terminal."""

import math
import textwrap
from typing import TYPE_CHECKING

from cal_grpo.cli.screen.words import printable
from cal_grpo.seeing import Rollout

if TYPE_CHECKING:
    from rich.text import Text

_COPIED = "the reference's own words"
_MARKED_END = "⟧"
_LONGEST = 50_000  # characters shown; a terminal chokes on more


def rollout_text(rollout: Rollout, marked: bool, scale: float = 1.0) -> "Text":
    """Question, response with its advantages as colours, reference solution, grade, verdict and advantages.

    Args:
        rollout: what to show.
        marked: set the quote between brackets, for where there are no colours.
        scale: the advantage that is drawn in the strongest colour.
    """
    from rich.text import Text

    text = Text()
    _section(text, "question", printable(rollout.question))
    text.append("\nresponse", style="bold")
    text.append(f"  {rollout.tokens} tokens\n", style="dim")
    text.append_text(response_text(rollout, marked, scale))
    if rollout.reference:
        text.append("\n\nreference solution\n", style="bold")
        text.append(printable(rollout.reference)[:_LONGEST])
    grade = ("right", "bold green") if rollout.correct else ("wrong", "bold red")
    text.append("\n\ngrade  ", style="bold")
    text.append(*grade)
    text.append(f"  answer {_or_none(rollout.extracted)}, expected {_or_none(rollout.expected)}")
    text.append("" if rollout.reward is None else f", reward {_number(rollout.reward, 'g')}")
    text.append("\nverdict  ", style="bold")
    text.append_text(verdict_text(rollout))
    text.append("\nadvantages  ", style="bold")
    text.append_text(advantages_text(rollout, scale))
    return text


def response_text(rollout: Rollout, marked: bool, scale: float) -> "Text":
    """The response, a background by advantage, the quote underlined and bold, or between brackets."""
    from rich.text import Text

    text = Text()
    blamed = False
    for piece in rollout.pieces():
        if piece.blamed != blamed and marked:
            text.append("⟦" if piece.blamed else _MARKED_END)
        blamed = piece.blamed
        text.append(printable(piece.text[: _LONGEST - len(text)]), style=_style(piece.advantage, scale, piece.blamed))
        if len(text) >= _LONGEST:
            return text.append(f"… {len(rollout.response):,} characters in all, see --json", style="yellow")
    return text.append(_MARKED_END if blamed and marked else "")


def verdict_text(rollout: Rollout) -> "Text":
    """What the oracle said, and what came of it."""
    from rich.text import Text

    verdict, span = rollout.verdict, rollout.span
    if verdict is None:
        return Text("none; a right answer is not judged" if rollout.correct else "none; no oracle was asked", style="dim")
    text = Text.assemble((printable(verdict.tag), "green" if span is not None else "yellow"))
    text.append("" if verdict.confidence is None else f", confidence {_number(verdict.confidence, 'g')}", style="dim")
    if verdict.critique:
        text.append(f"\n  {printable(verdict.critique)[:_LONGEST]}", style="italic")
    if verdict.segment:
        text.append("\n  quote  ", style="dim")
        text.append(repr(printable(verdict.segment)[:_LONGEST]))
    if verdict.correction:
        text.append("\n  correction  ", style="dim")
        text.append(_COPIED if verdict.copies_reference else "", style="yellow")
        text.append(textwrap.indent(f"\n{printable(verdict.correction)[:_LONGEST]}", "    "))
    if span is not None:
        start, end = span.tokens
        score = "" if span.score in (None, 1.0) else f" at similarity {_number(span.score, '.2f')}"
        text.append(f"\n  tokens {start} to {end - 1} of {rollout.tokens}, found by {printable(span.method)} match{score}")
    elif verdict.missed or rollout.miss:
        text.append(f"\n  no span: {printable(str(verdict.missed or rollout.miss))}", style="yellow")
    return text


def advantages_text(rollout: Rollout, scale: float) -> "Text":
    """``52 × +0.3, 8 × -1, 14 × 0``."""
    from rich.text import Text

    text = Text()
    for number, (advantage, count) in enumerate(rollout.advantages):
        if number == 12:
            return text.append(f", … {len(rollout.advantages) - number} more")
        text.append(", " if number else "")
        text.append(f"{count} × " + (_number(advantage, "+.3g") if advantage else "0"), style=_style(advantage, scale, False))
    return text


def _number(value: float, form: str) -> str:
    """A number in that form, or words for one that is none."""
    return format(value, form) if math.isfinite(value) else "not finite"


def _section(text: "Text", title: str, body: str) -> None:
    text.append(f"{title}\n", style="bold")
    text.append(f"{body[:_LONGEST]}\n")


def _style(advantage: float | None, scale: float, blamed: bool) -> str:
    mark = "bold underline" if blamed else ""
    if advantage is None or not abs(advantage) > 0:
        return mark
    strength = 0.25 + 0.75 * min(abs(advantage) / scale, 1.0)
    red, green, blue = (190, 60, 0) if advantage < 0 else (0, 95, 160)
    return f"{mark} #ffffff on #{round(red * strength):02x}{round(green * strength):02x}{round(blue * strength):02x}"


def _or_none(value: str | None) -> str:
    return "none" if value is None else printable(value)[:200]
