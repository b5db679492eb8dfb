"""Silence for others, so that our own screen can be read."""

import logging
import warnings


def quiet_third_parties() -> None:
    """Their progress and deprecation notes would tear the panel."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    for name in ("jax", "transformers", "trl", "accelerate", "peft", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(tunix|flax|orbax|jax|transformers|qwix|google|trl|torch|accelerate|peft)\b")
