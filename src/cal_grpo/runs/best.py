"""The policy that answered the held-out questions best in the middle of a training, kept in ``best/``.

policy/            as a Hugging Face folder; adapter/ beside it, if lora.save_adapter is set
evaluation.json    after which update it was, and how many answers were right
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cal_grpo.files import write_whole

BEST, PARTIAL, OLD = "best", "best.partial", "best.old"
_FIGURES = "evaluation.json"


class Best(NamedTuple):
    """After which update, and how many of the held-out questions were right."""

    update: int
    right: int
    questions: int

    @property
    def accuracy(self) -> float:
        return self.right / self.questions


def kept_best(run: Path) -> Best | None:
    """What ``best/`` of a run holds, whenever the process that wrote it was killed."""
    if not (run / BEST).exists() and _read(run / PARTIAL) is not None:
        (run / PARTIAL).rename(run / BEST)
    shutil.rmtree(run / OLD, ignore_errors=True)
    return _read(run / BEST)


def keep_best(run: Path, best: Best, save_policy: Callable[[Path], None]) -> None:
    """Put a policy in the place of the best one so far.

    Args:
        run: its folder.
        best: what it is known by.
        save_policy: writes it to a folder.
    """
    partial = run / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_policy(partial / "policy")
    write_whole(partial / _FIGURES, json.dumps(best._asdict()) + "\n")  # last: with it, the folder is whole
    if (run / BEST).exists():
        (run / BEST).rename(run / OLD)
    partial.rename(run / BEST)
    shutil.rmtree(run / OLD, ignore_errors=True)


def _read(folder: Path) -> Best | None:
    try:
        return Best(**json.loads((folder / _FIGURES).read_text()))
    except (OSError, ValueError, TypeError):
        return None
