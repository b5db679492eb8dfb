"""Is one of k answers right? pass@k, estimated from more samples than k."""

import math


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The chance that at least one of ``k`` answers is right, from ``right`` right ones among ``samples``.

    ``1 - C(samples - right, k) / C(samples, k)``, the unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, eq. 1).

    Raises:
        ValueError: ``k`` is not in 1..samples, or ``right`` not in 0..samples.
    """
    if not (1 <= k <= samples and 0 <= right <= samples):
        raise ValueError(f"got k={k}, right={right}, samples={samples}; expected 1 <= k <= samples and 0 <= right <= samples")
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def powers_up_to(samples: int) -> list[int]:
    """1, 2, 4, ... below ``samples``, and ``samples``: the k for which pass@k is worth a look."""
    return [2**i for i in range(samples.bit_length()) if 2**i < samples] + [samples]
