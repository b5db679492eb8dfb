"""Are these runs about the same thing?"""

from collections.abc import Sequence
from typing import Any

from cal_grpo.seeing.run import Run

_DATA = ("task", "data", "fields", "ledger", "max_train_samples")
_PROMPTS = ("chat", "rollout.max_prompt_tokens", "rollout.max_new_tokens")


def incomparable(runs: Sequence[Run], held_out: bool = True) -> list[str]:
    """A line for each run, and each reason, why its figures beside the first run's say nothing of their settings alone.

    Another model, other data or prompts, or other held-out questions. What a run does not tell is not held against it.

    Args:
        runs: at least one.
        held_out: look at the held-out questions too.
    """
    first, *others = runs
    notes = []
    for run in others:
        beside = f"{run.name}: not comparable with {first.name}:"
        if run.config and first.config:
            if (ours := _value(run, "model_id")) != (theirs := _value(first, "model_id")):
                notes.append(f"{beside} another model ({ours}, not {theirs})")
            if run.config.get("engine") != first.config.get("engine"):
                notes.append(f"{beside} another engine ({_value(run, 'engine')}, not {_value(first, 'engine')})")
            if data := _differing(run, first, _DATA):
                notes.append(f"{beside} other data ({data})")
            elif run.seed == first.seed and len({run.data_digest, first.data_digest} - {None}) > 1:
                notes.append(f"{beside} other data (the config is the same, the questions' digest is not)")
            if prompts := _differing(run, first, _PROMPTS):
                notes.append(f"{beside} other prompts or lengths ({prompts})")
        asked, wanted = _questions(run), _questions(first)
        if held_out and asked and wanted and asked != wanted:
            notes.append(f"{beside} other held-out questions ({len(asked & wanted):,} of {len(asked | wanted):,} in common)")
    return notes


def _differing(run: Run, first: Run, keys: Sequence[str]) -> str:
    """``task gsm8k, not ledger`` of the first of the keys that differ."""
    for key in keys:
        ours, theirs = _value(run, key), _value(first, key)
        if ours != theirs:
            return f"{key} {ours}, not {theirs}"[:120]
    return ""


def _value(run: Run, key: str) -> Any:
    value: Any = run.config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _questions(run: Run) -> set[str]:
    answers = run.answers.get("after") or run.answers.get("before") or ()
    return {answer.question for answer in answers}
