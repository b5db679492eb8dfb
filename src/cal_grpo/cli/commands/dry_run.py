"""``cal-grpo train --dry-run``: what a training would be."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from cal_grpo.errors import one_line

if TYPE_CHECKING:
    from cal_grpo.config import TrainConfig
    from cal_grpo.oracles import VerdictCost
    from cal_grpo.runs import Footprint, Rehearsal

_WORTH_A_LINE = 100_000_000  # bytes


def dry_run(config: "TrainConfig", resume: bool, as_json: bool, said: str | None = None) -> None:
    """Print the resolved config as YAML with what is known of its size and cost as comments; or all as JSON.

    Args:
        config: of the run.
        resume: whether a run goes on.
        as_json: print JSON.
        said: what was chosen for it, in a line.
    """
    from cal_grpo.runs import rehearse

    rehearsal = rehearse(config, resume)
    if said:
        rehearsal = replace(rehearsal, notes=(said, *rehearsal.notes))
    if as_json:
        typer.echo(json.dumps(_record(rehearsal), indent=2))
        return
    for line in _lines(rehearsal):
        typer.echo(f"# {one_line(line)}")
    typer.echo(rehearsal.config.to_yaml(), nl=False)


def _lines(rehearsal: "Rehearsal") -> list[str]:
    lines = [
        f"a dry run: {rehearsal.training:,} training and {rehearsal.held_out:,} held-out questions, "
        f"{rehearsal.answers:,} sampled answers"
    ]
    lines += rehearsal.notes
    if rehearsal.memory is not None and rehearsal.memory.states >= _WORTH_A_LINE:
        lines.append(_memory(rehearsal.memory))
    return lines + [_cost(cost, rehearsal.answers) for cost in rehearsal.costs]


def _memory(memory: "Footprint") -> str:
    states, logits = (f"{size / 1e9:.1f} GB" for size in memory)
    return (
        f"memory: at least {states} for weights, reference policy, gradients and Adam, {logits} for the logits of a forward "
        "pass; activations come on top"
    )


def _cost(cost: "VerdictCost", answers: int) -> str:
    each = f"about {cost.prompt_tokens:,} + {cost.answer_tokens:,} tokens, thinking aside"
    many = f", {cost.critiques} critiques a verdict" if cost.critiques > 1 else ""
    if cost.usd_per_1000 is None or cost.price is None:
        return f"judge {cost.model}: price unknown ({each}{many}); name it in a file of oracle.prices"
    return (
        f"judge {cost.model}: about ${cost.usd_per_1000:.2f} per 1,000 verdicts ({each}{many}, at ${cost.price.input:g} and "
        f"${cost.price.output:g} a million); ${cost.usd_per_1000 * answers / 1000:.2f} for the run if every answer is wrong"
    )


def _record(rehearsal: "Rehearsal") -> dict[str, Any]:
    sizes = {name: getattr(rehearsal, name) for name in ("training", "held_out", "answers", "notes")}
    judges = [
        {"model": cost.model, "prompt_tokens": cost.prompt_tokens, "answer_tokens": cost.answer_tokens,
         "critiques": cost.critiques, "usd_per_1000": cost.usd_per_1000}
        for cost in rehearsal.costs
    ]  # fmt: skip
    return {"config": rehearsal.config.model_dump(mode="json"), **sizes, "judges": judges,
            "memory": rehearsal.memory and rehearsal.memory._asdict()}  # fmt: skip
