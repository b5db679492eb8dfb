"""Two judges on the same rows: how far apart are they?"""

from collections.abc import Callable, Sequence
from typing import Any

from cal_grpo.intervals import paired_difference
from cal_grpo.oracles.bench.bench_figures import BenchResult, Rate, rounded


def differences(judged: Sequence[BenchResult], base: Sequence[BenchResult]) -> dict[str, Any]:
    """What a judge's shares are more than another's, on the same rows in the same order, as ``{"value", "low", "high"}``.

    Newcombe's paired interval; as elsewhere it counts solutions, for labels of one solution are not independent.
    """
    solutions = len({result.row.solution for result in judged})

    def apart(holds: Callable[[int], bool]) -> Rate:
        pairs = [
            tuple(result.off_by is not None and holds(result.off_by) for result in pair)
            for pair in zip(judged, base, strict=True)
        ]
        if not pairs:
            return rounded(None)
        per_row = solutions / len(pairs)
        kinds = [pairs.count(kind) * per_row for kind in ((True, True), (True, False), (False, True), (False, False))]
        return rounded(paired_difference(*kinds))

    return {"exact": apart(lambda off: off == 0), "not_later": apart(lambda off: off <= 0)}
