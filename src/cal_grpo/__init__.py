"""CAL-GRPO: credit on the exact tokens where a wrong answer first goes wrong.

The names below are imported when first used, so that ``import cal_grpo`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cal_grpo.alignment import map_segment_to_token_indices
    from cal_grpo.config import TrainConfig, load_config
    from cal_grpo.credit import assign_credit, construct_sparse_rewards
    from cal_grpo.grading import Grade, grade_answer
    from cal_grpo.oracles import CALOracle, Oracle, Query, Tag, Usage, Verdict
    from cal_grpo.runs import evaluate, train

    __version__: str

_HOMES = {
    "CALOracle": "oracles",
    "Grade": "grading",
    "Oracle": "oracles",
    "Query": "oracles",
    "Tag": "oracles",
    "TrainConfig": "config",
    "Usage": "oracles",
    "Verdict": "oracles",
    "assign_credit": "credit",
    "construct_sparse_rewards": "credit",
    "evaluate": "runs",
    "grade_answer": "grading",
    "load_config": "config",
    "map_segment_to_token_indices": "alignment",
    "train": "runs",
}

__all__ = [
    "CALOracle",
    "Grade",
    "Oracle",
    "Query",
    "Tag",
    "TrainConfig",
    "Usage",
    "Verdict",
    "__version__",
    "assign_credit",
    "construct_sparse_rewards",
    "evaluate",
    "grade_answer",
    "load_config",
    "map_segment_to_token_indices",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cal-grpo")
    if name not in _HOMES:
        raise AttributeError(f"module 'cal_grpo' has no attribute {name!r}")
    return getattr(import_module(f"cal_grpo.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
