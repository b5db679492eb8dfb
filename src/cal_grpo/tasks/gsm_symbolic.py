"""gsm_symbolic: word problems from reasoning-gym's GSM-Symbolic templates.

Only templates whose reference solutions are sound are used: over a thousand instances each, every equation recomputes
exactly, and the last one ends in the answer (``tests/tasks/test_gsm_symbolic.py`` checks it again). Many others write
unknowns, rounded quotients or floating-point noise, which no first error can be measured against.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from cal_grpo.tasks.split import Split, split_of
from cal_grpo.tasks.types import Example

TEMPLATES = (0, 13, 16, 30, 31, 38, 43, 50, 54, 56, 58, 67, 72, 88, 95, 96)


def problems(*, seed: int, split: Split) -> Iterator[Example]:
    """An endless stream of problems of one split, reproducible from its arguments.

    reasoning-gym seeds row ``i`` with ``seed + i``, so two of its seeds share rows; here every instance has a draw of
    its own, and the split goes by the question's text.
    """
    templates = _templates()
    rng = random.Random(f"gsm_symbolic/{split}/{seed}")
    while True:
        generate = templates[rng.choice(TEMPLATES)]
        row = generate(random.Random(rng.getrandbits(64)), 1.0)
        if split_of(row["question"]) == split:
            yield Example(row["question"], row["answer"], row["metadata"]["answer_cot"])


def _templates() -> dict[int, Callable[[random.Random, float], dict[str, Any]]]:
    from reasoning_gym.arithmetic.gsm_symbolic.gsm_symbolic import GSMSymbolicDataset, GSMSymbolicDatasetConfig

    templates: dict[int, Any] = GSMSymbolicDataset(GSMSymbolicDatasetConfig(seed=0, size=1)).generators
    return templates
