"""Runs of one setting with different seeds belong together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cal_grpo.seeing.run import Run

# Keys that leave the trained policy what it is, and the seed.
_ASIDE = frozenset(
    {"seed", "output_dir", "overwrite", "sample_share", "checkpoint", "eval", "max_eval_samples", "tracker", "preset"}
)
# Keys that the engine's own trainer does not read.
_CAL_ONLY = frozenset(
    {"credit", "negative_reward", "prefix_reward", "prefix_share", "mask_probability", "on_miss", "on_failure", "on_truncated",
     "train_end_token", "max_span_tokens", "on_ambiguous", "cal_provider", "cal_model", "cal_base_url", "oracle"}
)  # fmt: skip

_LONGEST_LABEL = 48


class Arm(NamedTuple):
    """Runs that differ in their seed alone, in the order in which they were named."""

    label: str
    runs: list[Run]


def arms_of(runs: Sequence[Run]) -> list[Arm]:
    """Runs grouped by their config, the first one's group first, named by what tells the groups apart.

    When all have one config, each run is a group of its own.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(str(sorted(_setting(run).items())), []).append(run)
    if len(groups) == 1 or any(not run.config for run in runs):
        return [Arm(run.name, [run]) for run in runs]
    settings = [_setting(group[0]) for group in groups.values()]
    labels = [_label(setting, settings) for setting in settings]
    if len(set(labels)) < len(labels) or max(map(len, labels)) > _LONGEST_LABEL:
        labels = [", ".join(run.name for run in group) for group in groups.values()]
    return [Arm(label, group) for label, group in zip(labels, groups.values(), strict=True)]


def pairs_of(first: Arm, second: Arm) -> list[tuple[Run, Run]]:
    """Runs with the same seed; where no seed is in both, runs in the order in which they were named."""
    left = list(second.runs)
    pairs = []
    for run in first.runs:
        partner = next((other for other in left if run.seed is not None and other.seed == run.seed), None)
        if partner is not None:
            left.remove(partner)
            pairs.append((run, partner))
    return pairs or list(zip(first.runs, second.runs, strict=False))


def _setting(run: Run) -> dict[str, Any]:
    """What decides a run, flat; ``credit`` is ``grpo`` for plain GRPO."""
    plain = not run.is_credited
    flat: dict[str, Any] = {"credit": run.credit}
    for key, value in run.config.items():
        if key in _ASIDE or key in ("use_cal", "credit") or (plain and key in _CAL_ONLY):
            continue
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": found for inner, found in value.items()}
        else:
            flat[key] = value
    return flat


def _label(setting: dict[str, Any], settings: Sequence[dict[str, Any]]) -> str:
    """``credit prefix, learning_rate 0.0001``: the keys in which settings differ, where this one has them."""
    differing = [key for key in setting if any(key in other and other[key] != setting[key] for other in settings)]
    return ", ".join(f"{key} {setting[key]}" for key in differing) or setting["credit"]
