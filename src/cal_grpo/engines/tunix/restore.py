"""From which checkpoint a run goes on.

Tunix loads the newest one that lies in a run's folder by itself, parameters and optimizer state, whatever it is like
(tunix 0.1.7, sft/peft_trainer.py, ``PeftTrainer.__init__``). So one that cannot be read is moved out of its sight.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorstore

from cal_grpo.errors import UsageError


def newest_checkpoint(run_dir: Path, tell: Callable[[str], None]) -> int:
    """The update of the newest checkpoint that can be read; 0 in a run that has none yet.

    Newer ones are kept as ``checkpoints/damaged-UPDATE``, and told.

    Raises:
        UsageError: there are checkpoints, and none can be read. Nothing was moved.
    """
    folder = run_dir / "checkpoints" / "actor"
    damaged: list[tuple[int, str]] = []
    # One that was not finished when the process was killed has another name.
    for update in sorted((int(path.name) for path in folder.glob("*") if path.name.isdigit()), reverse=True):
        if (problem := _problem(folder / str(update))) is None:
            break
        damaged.append((update, problem))
    else:
        if damaged:
            raise UsageError(
                f"{folder}: no checkpoint can be read ({damaged[0][1]}); restore one, or begin again with --overwrite"
            )
        return 0
    for bad, problem in damaged:
        aside = _free_name(run_dir / "checkpoints" / f"damaged-{bad}")
        (folder / str(bad)).rename(aside)
        tell(f"the checkpoint of update {bad} cannot be read ({problem}); kept as {aside.name}, going back to update {update}")
    return update


def _problem(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be gone on from, in one line; it is read array by array, and NaN counts as damage.

    Not by Orbax: where one of many arrays cannot be read, the others' callbacks come back to a closed event loop, and
    Python prints a traceback for each (orbax 0.11, tensorstore 0.1).
    """
    try:
        for item in ("model_params", "optimizer_state"):
            folder = checkpoint / item
            if (sharding := folder / "_sharding").exists():
                json.loads(sharding.read_text())  # without it Tunix would leave the optimizer as it is
            store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}}
            for name in _array_names(folder):
                array = {"driver": "zarr", "kvstore": store | {"path": f"{name}/"}}
                if not np.isfinite(tensorstore.open(array).result().read().result()).all():
                    return f"{item}: {name} is not finite"
    except (ValueError, OSError, LookupError, TypeError, AttributeError) as e:
        return f"{item}: {' '.join(str(e).split())[:120] or type(e).__name__}"
    return None


def _array_names(folder: Path) -> list[str]:
    tree = json.loads((folder / "_METADATA").read_text())["tree_metadata"]
    leaves = [leaf for leaf in tree.values() if not leaf["value_metadata"]["skip_deserialize"]]  # without empty nodes
    return [".".join(part["key"] for part in leaf["key_metadata"]) for leaf in leaves]


def _free_name(path: Path) -> Path:
    """The path, or with a number behind it where it is taken."""
    names = [path, *(path.with_name(f"{path.name}-{n}") for n in range(2, 1000))]
    return next(name for name in names if not name.exists())
