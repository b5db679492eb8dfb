"""Where a checkpoint's tensor lies in Tunix's model.

Tunix's key map leads from a checkpoint name to a *key* and a layout, ``transpose(permute).reshape(...)``. Mostly the key
is the path of a parameter; where a model keeps several tensors in one parameter (gemma3: k and v, or q, k and v), it is
a name of its own, and a ``Place`` says which part of which parameter it means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Place:
    """One mapped tensor's place in the model.

    Attributes:
        path: of the parameter, dotted.
        part: index along the parameter's first axis, when it holds several tensors.
        axes: transposition from the parameter's layout to the key map's.
    """

    path: str
    part: int | None = None
    axes: tuple[int, ...] | None = None

    def of(self, parameter: np.ndarray) -> np.ndarray:
        """The tensor, in the key map's layout."""
        tensor = parameter if self.part is None else parameter[self.part]
        return tensor if self.axes is None else tensor.transpose(self.axes)


def whole(paths: Iterable[str]) -> dict[str, Place]:
    """The places of a model that keeps every tensor in a parameter of its own."""
    return {path: Place(path) for path in paths}


def to_checkpoint(tensor: np.ndarray, shape: tuple[int, ...], transform: Any) -> np.ndarray:
    """Undo the loader's ``transpose(permute).reshape(...)``."""
    permute = transform[0] if transform else None
    if not permute:
        return np.ascontiguousarray(tensor.reshape(shape))
    permuted = tensor.reshape([shape[axis] for axis in permute])
    return np.ascontiguousarray(permuted.transpose(np.argsort(permute)))


def lora_pair(arrays: Mapping[str, np.ndarray], place: Place) -> tuple[np.ndarray, np.ndarray] | None:
    """The low-rank pair of a linear layer's weight as (A (rank, in), B (out, rank)), or None when it has none.

    qwix keeps ``A (in..., rank)`` and ``B (rank, out...)`` beside the weight (qwix 0.1.8, providers/lora.py); parts of one
    parameter share A and have each their part of B. Flattened, both have the order of a checkpoint's axes.
    """
    a, b = arrays.get(f"{place.path}_lora_a"), arrays.get(f"{place.path}_lora_b")
    if a is None or b is None:
        return None
    rank = a.shape[-1]
    part = b if place.part is None else b[:, place.part]
    return np.ascontiguousarray(a.reshape(-1, rank).T), np.ascontiguousarray(part.reshape(rank, -1).T)
