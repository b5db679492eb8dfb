"""From which checkpoint a run goes on.

Tunix loads the newest one that lies in a run's folder by itself, parameters and optimizer state, whatever it is like
(tunix 0.1.7, sft/peft_trainer.py, ``PeftTrainer.__init__``). So one that cannot be read is moved out of its sight.
"""

import json
from pathlib import Path

import numpy as np
import tensorstore

from cal_grpo.engines.found import Found, newest


def newest_checkpoint(run_dir: Path) -> Found:
    """The newest checkpoint that can be read, parameters and optimizer state. Nothing is touched.

    Raises:
        UsageError: there are checkpoints, and none can be read.
    """
    folder = run_dir / "checkpoints" / "actor"
    # One that was not finished when the process was killed has another name
    folders = {int(path.name): path for path in folder.glob("*") if path.name.isdigit()}
    return newest(folder.parent, folders, lambda update, checkpoint: _problem(checkpoint))


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
