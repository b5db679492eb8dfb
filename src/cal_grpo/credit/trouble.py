"""What does a wrong answer get whose error nobody named?"""

from typing import Literal, get_args

from cal_grpo.errors import UsageError

Fallback = Literal["mean", "drop", "grpo"]
"""See ``assign_credit``."""
OnTrouble = Literal["mean", "drop", "grpo", "raise"]
"""What a config may say: a fallback, or to stop."""


def check_on_trouble(**chosen: str) -> None:
    """See that each choice is one, by its name in the config.

    Raises:
        UsageError: one is not.
    """
    for name, choice in chosen.items():
        if choice not in get_args(OnTrouble):
            raise UsageError(f"{name} is {choice!r}; expected one of {', '.join(get_args(OnTrouble))}")
