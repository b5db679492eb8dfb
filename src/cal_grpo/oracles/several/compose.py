"""Oracles out of oracles, in one line of a config: ``arithmetic@0.9 > reference@0.6 > 3 x openai``.

spec  = stage { ">" stage }            a cascade, from cheap to dear
stage = vote [ "@" confidence ]        sure from this confidence on; the last stage needs none
vote  = name                           one of the providers, ":" and its model where it needs one
      | number "x" name                that many critiques, by majority
      | rule "(" name { "," name } ")" majority, intersection or union of their spans
"""

import re
from collections.abc import Callable

from cal_grpo.errors import UsageError
from cal_grpo.oracles.several.cascade import Cascade
from cal_grpo.oracles.several.vote import Rule, Vote
from cal_grpo.oracles.types import Oracle

MOST_CRITIQUES = 15
_NAME = r"[\w-]+(?::[^\s(),>@]+)?"
_REPEATED = re.compile(rf"(\d+)\s*x\s*({_NAME})")
_RULED = re.compile(rf"(majority|intersection|union)\s*\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)")
_EXAMPLES = "'reference@0.6 > openai', '3 x openai' or 'union(reference, openai)'"


def is_composite(spec: str) -> bool:
    """Whether a provider's name is more than a name."""
    return any(sign in spec for sign in ">@(),") or _REPEATED.fullmatch(spec.strip()) is not None


def compose(spec: str, build: Callable[[str, bool], Oracle]) -> Oracle:
    """The oracle that a spec describes.

    Args:
        spec: see above.
        build: makes the oracle of a ``name`` or ``name:model``; with True, one whose critiques of a response vary.

    Raises:
        UsageError: the spec cannot be read, or a name is unknown.
    """
    stages: list[tuple[Oracle, float]] = []
    parts = spec.split(">")
    for part in parts:
        vote, at, confidence = part.partition("@")
        try:
            needed = float(confidence) if at else 0.0
        except ValueError:
            raise UsageError(f"oracle {spec!r}: {confidence.strip()!r} is no confidence; try {_EXAMPLES}") from None
        stages.append((_vote(vote.strip(), spec, build), needed))
    return stages[0][0] if len(stages) == 1 and not stages[0][1] else Cascade(stages)


def _vote(text: str, spec: str, build: Callable[[str, bool], Oracle]) -> Oracle:
    if repeated := _REPEATED.fullmatch(text):
        count = int(repeated[1])
        if not 1 <= count <= MOST_CRITIQUES:
            raise UsageError(f"oracle {spec!r}: {count} critiques; expected 1 to {MOST_CRITIQUES}")
        return Vote([build(repeated[2], True)] * count)
    if ruled := _RULED.fullmatch(text):
        names = [name.strip() for name in ruled[2].split(",")]
        rule: Rule = ruled[1]  # type: ignore[assignment]  # the expression matches these alone
        built = {name: build(name, names.count(name) > 1) for name in dict.fromkeys(names)}
        return Vote([built[name] for name in names], rule)
    if re.fullmatch(_NAME, text) is None:
        raise UsageError(f"oracle {spec!r} cannot be read; try {_EXAMPLES}")
    return build(text, False)
