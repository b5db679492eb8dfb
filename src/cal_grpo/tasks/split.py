"""Training and held-out questions, kept apart by their text."""

import hashlib
from typing import Literal

Split = Literal["train", "eval"]


def split_of(question: str) -> Split:
    """Which part a question belongs to: one in eight is held out, by the hash of its text and nothing else.

    Two seeds, two files or two runs can therefore never put the same question on both sides.
    """
    return "eval" if hashlib.sha256(question.encode()).digest()[0] < 32 else "train"
