"""CAL-GRPO: credit on the exact tokens where a wrong answer first goes wrong.

The names below are imported when first used, so that ``import cal_grpo`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cal_grpo.alignment import Miss, TokenSpan, map_segment_to_token_indices
    from cal_grpo.credit import construct_sparse_rewards
    from cal_grpo.errors import UsageError
    from cal_grpo.grading import Grade, grade_answer
    from cal_grpo.oracles import CALOracle, Query, Verdict

_HOMES = {
    "CALOracle": "oracles",
    "Grade": "grading",
    "Miss": "alignment",
    "Query": "oracles",
    "TokenSpan": "alignment",
    "UsageError": "errors",
    "Verdict": "oracles",
    "construct_sparse_rewards": "credit",
    "grade_answer": "grading",
    "map_segment_to_token_indices": "alignment",
}

__all__ = [
    "CALOracle",
    "Grade",
    "Miss",
    "Query",
    "TokenSpan",
    "UsageError",
    "Verdict",
    "construct_sparse_rewards",
    "grade_answer",
    "map_segment_to_token_indices",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cal_grpo' has no attribute {name!r}")
    return getattr(import_module(f"cal_grpo.{_HOMES[name]}"), name)
