"""Silence for others, so that our own screen can be read."""

import logging
import os
import warnings

# Some are read once, when a library is imported; what a person has set stays.
_ENVIRONMENT = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",  # "PyTorch was not found": a warning at its import, whatever its logger's level was
    "TF_CPP_MIN_LOG_LEVEL": "2",  # XLA
}


def quiet_third_parties() -> None:
    """Their progress, advice and deprecation notes would tear the panel. Called before they are imported."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("absl").setLevel(logging.ERROR)
    for name in ("jax", "transformers", "datasets", "huggingface_hub", "trl", "accelerate", "peft", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(tunix|flax|orbax|jax|transformers|qwix|google|trl|torch|accelerate|peft)\b")
