"""Silence for others, so that our own screen can be read."""

import logging
import sys
import warnings
from typing import Any


def quiet_third_parties() -> None:
    """Their progress and deprecation notes would tear the panel, and what they log of an error they raise, too."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    for name in ("jax", "transformers", "trl", "accelerate", "peft", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(tunix|flax|orbax|jax|transformers|qwix|google|trl|torch|accelerate|peft)\b")
    sys.unraisablehook = _show


def _show(ignored: Any) -> None:
    """Print an exception that nobody could catch; but not this one: after an array of a checkpoint could not be written, the
    others' writes come back to an event loop that is closed by then (tensorstore 0.1.86, orbax-checkpoint 0.12.8,
    ``asyncio_utils._run_sync_via_new_loop``)."""
    if not (ignored.exc_type is RuntimeError and str(ignored.exc_value) == "Event loop is closed"):
        sys.__unraisablehook__(ignored)
