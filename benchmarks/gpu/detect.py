"""Which difference between two policies, asked the same questions, can be told from chance? Written before anything is trained.

    python -m gpu.detect --results DIR [--questions 512]

With n questions of which a share psi is answered rightly by one policy only, a difference d of the two shares right is found by
McNemar's test (two-sided, 5 %) with probability 80 % if

    n = (1.960 sqrt(psi) + 0.842 sqrt(psi - d^2))^2 / d^2

(Connor, Biometrics 43, 1987, 207-211). It is about questions: the chance of the training itself is not in it.
"""

import argparse
import math
from pathlib import Path
from statistics import NormalDist
from typing import Any

from gpu.parts import part

_ALPHA, _POWER = 0.05, 0.80


def detectable(questions: int, discordant: float) -> float:
    """The difference that is found with probability 80 %; the largest possible one where no difference is.

    Args:
        questions: that both answered.
        discordant: share of them that one of the two alone answered rightly, in (0, 1].
    """
    a, b = NormalDist().inv_cdf(1 - _ALPHA / 2), NormalDist().inv_cdf(_POWER)
    low, high = 0.0, discordant
    for _ in range(60):
        d = (low + high) / 2
        needed = (a * math.sqrt(discordant) + b * math.sqrt(max(discordant - d * d, 0.0))) ** 2 / d**2
        low, high = (low, d) if needed <= questions else (d, high)
    return high


def plan(questions: int) -> dict[str, Any]:
    shares = (0.05, 0.1, 0.2, 0.3, 0.4)
    return {
        "questions": questions,
        "alpha": _ALPHA,
        "power": _POWER,
        "formula": "n = (z_a sqrt(psi) + z_b sqrt(psi - d^2))^2 / d^2, z_a = 1.960, z_b = 0.842 (Connor 1987)",
        "detectable_points": {str(psi): round(100 * detectable(questions, psi), 1) for psi in shares},
        "not_in_it": "one training an arm: the chance of the training itself",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=512)
    args = parser.parse_args()
    part(args.results, "plan", lambda: plan(args.questions))


if __name__ == "__main__":
    main()
