"""Silence for others, so that our own screen can be read."""

import logging
import os
import sys
import traceback
import warnings
from typing import Any

from cal_grpo.files import disk_is_full

# Some are read once, when a library is imported; what a person has set stays.
_ENVIRONMENT = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",  # "PyTorch was not found": a warning at its import, whatever its logger's level was
    "TF_CPP_MIN_LOG_LEVEL": "2",  # XLA
}


def quiet_third_parties() -> None:
    """Their progress, advice and deprecation notes would tear the panel, and what they log of an error they raise, too.

    Called before they are imported.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_shown)
    for name in ("jax", "transformers", "datasets", "huggingface_hub", "trl", "accelerate", "peft", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(tunix|flax|orbax|jax|transformers|qwix|google|trl|torch|accelerate|peft)\b")
    warnings.filterwarnings("ignore", message="coroutine 'async_serialize_from_host", category=RuntimeWarning)  # see _show
    sys.unraisablehook = _show


def _is_shown(record: logging.LogRecord) -> bool:
    """Whether a record is shown: where several arrays of a checkpoint cannot be written, orbax raises the first one's error,
    which is told, and nobody fetches the others' (orbax-checkpoint 0.12.8, ``_src/serialization/serialization.py``, 166).
    Those that come from tensorstore, in C++, have no frames."""
    if not record.exc_info or record.exc_info[1] is None:
        return True
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(record.exc_info[2])]
    return not (any("orbax" in file for file in files) if files else disk_is_full(record.exc_info[1]))


def _show(ignored: Any) -> None:
    """Print an exception that nobody could catch; but not this one: after an array of a checkpoint could not be written, the
    others' writes were never begun, or come back to an event loop that is closed by then (tensorstore 0.1.86,
    orbax-checkpoint 0.12.8, ``asyncio_utils._run_sync_via_new_loop``)."""
    if not (ignored.exc_type is RuntimeError and str(ignored.exc_value) == "Event loop is closed"):
        sys.__unraisablehook__(ignored)
