"""Controls: credit of the same shape as ours, from blame that carries no information."""

import dataclasses

import numpy as np

from cal_grpo.credit.span import prefix
from cal_grpo.credit.types import Batch, Weights


def random_span(batch: Batch, weights: Weights) -> np.ndarray:
    """``prefix`` with each blamed span moved to a uniformly drawn place of the same length in the same answer."""
    moved = []
    for span, length in zip(batch.spans, batch.lengths_B, strict=True):
        if span is not None:
            start = int(batch.rng.integers(0, length - len(span) + 1))
            span = dataclasses.replace(span, start=start, end=start + len(span))
        moved.append(span)
    return prefix(dataclasses.replace(batch, spans=moved), weights)
