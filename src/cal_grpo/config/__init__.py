"""What is a run, to the last number?"""

from cal_grpo.config.keys import described_keys, known_keys
from cal_grpo.config.preset import LANGUAGE_MODEL, NO_PRESET, presets
from cal_grpo.config.reading import load_config, load_resolved, parse_override, read_keys
from cal_grpo.config.sections import EMBEDDED, ChatSection, LoraSection, OracleSection
from cal_grpo.config.train_config import TrainConfig

__all__ = [
    "EMBEDDED",
    "LANGUAGE_MODEL",
    "NO_PRESET",
    "ChatSection",
    "LoraSection",
    "OracleSection",
    "TrainConfig",
    "described_keys",
    "known_keys",
    "load_config",
    "load_resolved",
    "parse_override",
    "presets",
    "read_keys",
]
