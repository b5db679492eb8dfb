"""What does a worked solution compute, step by step?"""

from cal_grpo.oracles.free.worked.evidence import Evidence, gather, is_off
from cal_grpo.oracles.free.worked.quantities import equations
from cal_grpo.oracles.free.worked.reference_graph import reference_graph

__all__ = ["Evidence", "equations", "gather", "is_off", "reference_graph"]
