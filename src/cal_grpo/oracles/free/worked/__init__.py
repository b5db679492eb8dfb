"""What does a worked solution compute, step by step?"""

from cal_grpo.oracles.free.worked.claims import states_answer, written_out
from cal_grpo.oracles.free.worked.evidence import Evidence, gather
from cal_grpo.oracles.free.worked.gibberish import is_gibberish
from cal_grpo.oracles.free.worked.reading import equations
from cal_grpo.oracles.free.worked.reference_graph import reference_graph
from cal_grpo.oracles.free.worked.response_graph import is_off

__all__ = [
    "Evidence",
    "equations",
    "gather",
    "is_gibberish",
    "is_off",
    "reference_graph",
    "states_answer",
    "written_out",
]
