"""Controls: credit of the same shape as ours, from blame that carries no information."""

import dataclasses

import numpy as np

from cal_grpo.credit import Batch, Weights, prefix


def random_span(batch: Batch, weights: Weights) -> np.ndarray:
    """``prefix`` with each blamed span moved to a uniformly drawn place of the same length in the same answer."""
    moved = []
    for span, length in zip(batch.spans, batch.lengths_B, strict=True):
        if span is not None:
            start = int(batch.rng.integers(0, length - len(span) + 1))
            span = dataclasses.replace(span, start=start, end=start + len(span))
        moved.append(span)
    return prefix(dataclasses.replace(batch, spans=moved), weights)


def shuffled_verdict(batch: Batch, weights: Weights) -> np.ndarray:
    """``prefix`` with each blamed span put where another wrong answer of the batch has its own.

    Places keep their share of the answer's length, and a span its own length, so that the blame is where errors usually
    are and knows nothing of this answer.
    """
    wrong = [row for row, span in enumerate(batch.spans) if span is not None]
    shift = int(batch.rng.integers(1, len(wrong))) if len(wrong) > 1 else 0
    moved = list(batch.spans)
    for here, there in zip(wrong, [*wrong[shift:], *wrong[:shift]], strict=True):
        span, other = batch.spans[here], batch.spans[there]
        assert span is not None
        assert other is not None
        last = int(batch.lengths_B[here]) - len(span)
        start = min(round(other.start / int(batch.lengths_B[there]) * int(batch.lengths_B[here])), last)
        moved[here] = dataclasses.replace(span, start=start, end=start + len(span))
    return prefix(dataclasses.replace(batch, spans=moved), weights)
