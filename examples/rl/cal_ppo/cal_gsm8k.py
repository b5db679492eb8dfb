"""Train a language model on GSM8K with credit on the tokens where a wrong answer first goes wrong.

How it departs from textbook GRPO: an oracle quotes the first error of each wrong answer, the quote is mapped to the
sampled tokens, and those carry the blame. Everything else is the library's ``cal-grpo train``; this file only reads the
environment, and other config keys from its arguments (``lora.rank=16``). README.md lists the variables.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import load_dotenv

from cal_grpo.cli import run_app
from cal_grpo.cli.screen import Panel, print_summary, quiet_third_parties
from cal_grpo.config import parse_override
from cal_grpo.engines import require_engine
from cal_grpo.errors import UsageError
from cal_grpo.oracles import takes
from cal_grpo.processes import leads
from cal_grpo.runs import chosen_config, train

# Each sets the config key of the same name in lower case; ``cal-grpo train --keys`` describes them.
VARIABLES = (
    "ENGINE", "MODEL_ID", "USE_CAL", "CREDIT", "CAL_PROVIDER", "CAL_MODEL", "NEGATIVE_REWARD", "NUM_GENERATIONS", "BATCH_SIZE",
    "MICRO_BATCH_SIZE", "NUM_TRAIN_STEPS", "LEARNING_RATE", "MAX_TRAIN_SAMPLES", "MAX_EVAL_SAMPLES", "DATA", "OUTPUT_DIR",
    "SEED",
)  # fmt: skip

# Over the preset that fits the model's size, as in ``cal-grpo train``.
DEFAULTS = {"task": "gsm8k", "model_id": "Qwen/Qwen2.5-0.5B-Instruct"}
FEW_SHOT = Path(__file__).with_name("cal_few_shot_examples.json")


def overrides(environment: Mapping[str, str]) -> dict[str, Any]:
    """Config keys from the environment over this recipe's defaults. An empty variable counts as not set."""
    return DEFAULTS | {name.lower(): environment[name] for name in VARIABLES if environment.get(name)}


def usual_engine() -> str:
    """TRL where it is installed: it takes less memory, and no more time (docs/engines.md has the figures). Else Tunix."""
    try:
        require_engine("trl")
    except UsageError:
        return "tunix"
    return "trl"


def recipe(**_: Any) -> int:
    """One run; the status that it ends with."""
    load_dotenv(".env")  # the environment wins
    settings = overrides(os.environ) | dict(parse_override(text, "argument") for text in sys.argv[1:])
    settings = {"engine": usual_engine()} | settings
    if takes(str(settings.get("cal_provider", "reference")), "few_shot"):
        settings = {"oracle.few_shot": FEW_SHOT} | settings
    quiet_third_parties()
    config, said = chosen_config(overrides=settings)
    if said and leads():
        print(said, file=sys.stderr)
    with Panel(config) if leads() else contextlib.nullcontext() as panel:  # of a job's processes one speaks
        trained = train(config, watcher=panel)
    print_summary(trained)
    return 130 if trained.summary["interrupted"] else 0


if __name__ == "__main__":
    run_app(recipe, "cal_gsm8k")
