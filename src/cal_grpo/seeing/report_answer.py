"""The report's first screen: did it work, with what settings, and what should not be overlooked? As HTML."""

import re
from collections.abc import Sequence
from typing import Any

from cal_grpo.seeing.comparable import incomparable
from cal_grpo.seeing.compare_svg import in_words
from cal_grpo.seeing.drawing import COLOURS, as_text
from cal_grpo.seeing.outcome import Outcome, outcome, warnings_of
from cal_grpo.seeing.run import Run

# What decides a run most, by the words that a person uses; a key that is unset is left out.
_SETTINGS = {
    "model": "model_id", "task": "task", "data": "data", "judge": "cal_provider", "judge's model": "cal_model",
    "judge's style": "oracle.style", "reward": "reward", "credit": "credit", "updates": "num_train_steps",
    "questions an update": "batch_size", "answers a question": "num_generations", "learning rate": "learning_rate",
    "KL weight": "beta", "temperature": "rollout.temperature", "tokens an answer": "rollout.max_new_tokens",
    "LoRA rank": "lora.rank", "seed": "seed", "engine": "engine",
}  # fmt: skip
_PROMPTED = re.compile(r"\b(openai|gemini|local)\b")  # those that a style is for
_JUDGE_S = ("judge", "judge's model", "judge's style")


def run_head(runs: Sequence[Run], number: int) -> str:
    """A run's name behind its colour."""
    return f'<span class="swatch s{number % COLOURS}"></span>{as_text(runs[number].name)}'


def legend(runs: Sequence[Run]) -> str:
    """Whose colour is which, above the curves; of a single run nothing."""
    heads = "".join(f"<span>{run_head(runs, number)}</span>" for number in range(len(runs)))
    return f'<p class="legend">{heads}</p>' if len(runs) > 1 else ""


def answers(runs: Sequence[Run]) -> str:
    """Accuracy before and after, a line a run."""
    return "".join(_answer(outcome(run), run_head(runs, i) if len(runs) > 1 else "") for i, run in enumerate(runs))


def cautions(runs: Sequence[Run]) -> str:
    """Warnings, and what cannot be compared."""
    lines = [f"{run.name}: {text}" if len(runs) > 1 else text for run in runs for text in warnings_of(run)]
    return "".join(f'<p class="note">! {as_text(line)}</p>' for line in (*lines, *incomparable(runs)))


def settings(runs: Sequence[Run]) -> str:
    """What all runs have in one line, and what tells each from the others in a line each."""
    of_each = [settings_of(run) for run in runs]
    names = [name for name in (*_SETTINGS, "device") if any(name in known for known in of_each)]
    shared = [name for name in names if all(known.get(name) == of_each[0].get(name) for known in of_each)]
    lines = [_line(of_each[0], shared)] if shared else []
    if own := [name for name in names if name not in shared]:
        lines += [_line(known, own, run_head(runs, number)) for number, known in enumerate(of_each)]
    return "".join(lines)


def settings_of(run: Run) -> dict[str, str]:
    """A run's settings that matter, in words."""
    if not run.config:
        return {}
    known = {name: value for name, key in _SETTINGS.items() if (value := _value(run.config, key)) is not None}
    known["credit"] = run.credit
    judged = run.is_credited and run.total("cal/asked") > 0
    for name in _JUDGE_S:
        if not judged or (name == "judge's style" and not _PROMPTED.search(str(known.get("judge")))):
            known.pop(name, None)
    device = (run.summary or {}).get("device")
    return {name: str(value) for name, value in (known | ({"device": device} if device else {})).items()}


def _answer(found: Outcome, head: str) -> str:
    name = f'<span class="which">{head}</span> ' if head else ""
    if found.gain is None:
        shown = next((estimate for estimate in (found.after, found.before) if estimate is not None), None)
        accuracy = f" <span>{in_words(shown)} % of {found.questions:,} questions</span>" if shown is not None else ""
        return f'<p class="answer">{name}<strong>{as_text(found.word)}</strong>{accuracy}</p>'
    kind = found.word if found.word in ("better", "worse") else "even"
    return (
        f'<p class="answer">{name}<strong class="{kind}">{as_text(found.word)}</strong> '
        f"<span>held-out accuracy {_percent(found.before)} → {_percent(found.after)} %</span> "
        f'<span class="soft">{in_words(found.gain, "+")} points, 95 % interval over {found.questions:,} questions</span></p>'
    )


def _percent(estimate: Any) -> str:
    return "–" if estimate is None else f"{100 * estimate.value:.1f}"


def _line(known: dict[str, str], names: Sequence[str], head: str = "") -> str:
    parts = [f"<span><b>{as_text(name)}</b> {as_text(known.get(name, '–'))}</span>" for name in names]
    return f'<p class="settings">{f"<span>{head}</span>" if head else ""}{" ".join(parts)}</p>'


def _value(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return ", ".join(map(str, value)) or None if isinstance(value, list) else value
