"""What of a correction is learned?"""

import math
from typing import Literal, get_args

from cal_grpo.errors import UsageError

Corrections = Literal["off", "step", "rest"]
"""Nothing; its first step; or all of it, where that ends in the right answer."""

Copies = Literal["keep", "drop"]
"""What becomes of a correction that is the reference's own words in an answer of another form."""


def check_corrections(corrections: Corrections, weight: float, copies: Copies = "keep", *, use_cal: bool = True) -> None:
    """See that what is to be learned of corrections can be.

    Raises:
        UsageError: an unknown choice, a weight below 0, or the engine's own trainer, which learns none.
    """
    for name, value, choices in (
        ("corrections", corrections, get_args(Corrections)),
        ("correction_copies", copies, get_args(Copies)),
    ):
        if value not in choices:
            raise UsageError(f"{name} is {value!r}; expected one of {', '.join(choices)}")
    if not 0 <= weight < math.inf:
        raise UsageError(f"correction_weight is {weight}; expected a number of 0 or more, such as 1.0")
    if corrections != "off" and not use_cal:
        raise UsageError(
            f"corrections is {corrections} with use_cal=false; the engine's own trainer learns none: set corrections=off or "
            "use_cal=true"
        )
