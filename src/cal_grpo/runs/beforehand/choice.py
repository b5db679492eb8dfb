"""Which settings fit a model? Chosen once, by its size, before a run begins; ``config.yaml`` keeps what was chosen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cal_grpo.config import EMBEDDED, LANGUAGE_MODEL, NO_PRESET, TrainConfig, load_config, read_keys
from cal_grpo.errors import UsageError
from cal_grpo.policies import parameters_of

# Between the policies of a million parameters or so that a made-up task is learned with, where all weights and large steps
# are right, and the smallest language models, where they are not.
LANGUAGE_MODEL_FROM = 20_000_000


def chosen_config(
    file: Path | None = None, overrides: Mapping[str, Any] | None = None, preset: str | None = None
) -> tuple[TrainConfig, str | None]:
    """A run's config, over the preset that fits its model where nobody names one; and a line that says what was chosen.

    Args:
        file, overrides, preset: see ``load_config``; each key of theirs wins over what is chosen.

    Returns:
        The config, whose ``preset`` is a name or ``none``, and the line, or None where there was nothing to choose.

    Raises:
        UsageError: as ``load_config``; or the model is not there, or its weights cannot be read.
    """
    keys = read_keys(file, overrides)
    if preset is not None or keys.get("preset") is not None or keys.get("model_id", EMBEDDED) == EMBEDDED:
        config = load_config(file, overrides, preset)
        return config if config.preset else config.model_copy(update={"preset": NO_PRESET}), None
    # Mistakes in the keys come before the model is looked for. What is right over one of the two only may be right.
    small, large = (_attempt(file, overrides, name) for name in (NO_PRESET, LANGUAGE_MODEL))
    if isinstance(small, UsageError) and isinstance(large, UsageError):
        raise small
    parameters = parameters_of(next(one.model_id for one in (small, large) if isinstance(one, TrainConfig)))
    chosen = small if parameters < LANGUAGE_MODEL_FROM else large
    if isinstance(chosen, UsageError):
        raise chosen
    if isinstance(small, TrainConfig) and chosen == small.model_copy(update={"preset": chosen.preset}):
        return small, None  # every key is named, as in a run's config.yaml, or the model is small
    return chosen, (
        f"settings for a language model of {_count(parameters)} parameters: preset {LANGUAGE_MODEL}, below your own; "
        f"--preset {NO_PRESET} leaves the small policy's"
    )


def _attempt(file: Path | None, overrides: Mapping[str, Any] | None, preset: str) -> TrainConfig | UsageError:
    try:
        return load_config(file, overrides, preset)
    except UsageError as e:
        return e


def _count(parameters: int) -> str:
    """``135 M``, ``1.5 B``."""
    return f"{parameters / 1e9:.1f} B" if parameters >= 999_500_000 else f"{parameters / 1e6:.0f} M"
