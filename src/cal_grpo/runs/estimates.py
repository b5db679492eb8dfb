"""What sampled answers say: pass@k, and a mean over questions with its 95 % interval."""

import math
import random
from collections.abc import Sequence

import numpy as np

from cal_grpo.intervals import Estimate, share

_RESAMPLES = 10_000


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


def mean_share(values: Sequence[float]) -> Estimate:
    """The mean over questions of values in [0, 1], with its interval over questions.

    Where every value is 0 or 1, the mean is a share and the interval is Wilson's (JASA 22, 1927, 209-212). Otherwise it is
    the percentile bootstrap's (Efron, Annals of Statistics 7, 1979, 1-26), which needs values that differ; without any,
    Wilson's again, which is on the safe side, for no value in [0, 1] varies more than a yes or no of the same mean.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("got no values; expected at least one")
    n, mean = len(values), math.fsum(values) / len(values)
    distinct, counts = np.unique(values, return_counts=True)
    if set(values) <= {0.0, 1.0} or len(distinct) == 1:
        return share(mean * n, n)
    draws = np.random.default_rng(random.Random("bootstrap").getrandbits(64))
    # Of a resample only how often each value occurs matters.
    means = draws.multinomial(n, counts / n, size=_RESAMPLES) @ distinct / n
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(mean, float(low), float(high))
