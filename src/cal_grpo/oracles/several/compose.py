"""Oracles out of oracles, in one line of a config: ``arithmetic@0.9 > reference@0.6 > 3 x openai``.

spec  = stage { ">" stage }            a cascade, from cheap to dear
stage = vote [ "@" confidence ]        sure from this confidence on; the last stage needs none
vote  = name                           one of the providers, ":" and its model where it needs one; or module:name
      | number "x" name                that many critiques, by majority
      | rule "(" name { "," name } ")" majority, intersection or union of their spans
"""

import re
from collections.abc import Callable

from cal_grpo.errors import UsageError
from cal_grpo.oracles.protocol import Oracle
from cal_grpo.oracles.several.cascade import Cascade
from cal_grpo.oracles.several.vote import Rule, Vote

MOST_CRITIQUES = 15
_NAME = r"[\w.-]+(?::[^\s(),>@]+)?"
_REPEATED = re.compile(rf"(\d+)\s*x\s*({_NAME})")
_RULED = re.compile(rf"(majority|intersection|union)\s*\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)")
_EXAMPLES = "'reference@0.6 > openai', '3 x openai' or 'union(reference, openai)'"


def is_composite(spec: str) -> bool:
    """Whether a provider's name is more than a name."""
    return any(sign in spec for sign in ">@(),") or _REPEATED.fullmatch(spec.strip()) is not None


def named_in(spec: str) -> list[str]:
    """The names in a spec, or in a provider's name alone, as they stand there.

    Raises:
        UsageError: the spec cannot be read.
    """
    return [name for vote, _ in _stages(spec) for name in _read(vote, spec)[1]] if is_composite(spec) else [spec.strip()]


def compose(spec: str, build: Callable[[str, bool], Oracle]) -> Oracle:
    """The oracle that a spec describes.

    Args:
        spec: see above.
        build: makes the oracle of a ``name`` or ``name:model``; with True, one whose critiques of a response vary.

    Raises:
        UsageError: the spec cannot be read, or a name is unknown.
    """
    stages = [(_vote(vote, spec, build), needed) for vote, needed in _stages(spec)]
    return stages[0][0] if len(stages) == 1 and not stages[0][1] else Cascade(stages)


def _stages(spec: str) -> list[tuple[str, float]]:
    """Each stage's text and the confidence that it must reach."""
    stages = []
    for part in spec.split(">"):
        vote, at, confidence = part.partition("@")
        try:
            stages.append((vote.strip(), float(confidence) if at else 0.0))
        except ValueError:
            raise UsageError(f"oracle {spec!r}: {confidence.strip()!r} is no confidence; try {_EXAMPLES}") from None
    return stages


def _read(text: str, spec: str) -> tuple[Rule | None, list[str]]:
    """A stage's rule, None where there is but one critique, and whose critiques."""
    if repeated := _REPEATED.fullmatch(text):
        count = int(repeated[1])
        if not 1 <= count <= MOST_CRITIQUES:
            raise UsageError(f"oracle {spec!r}: {count} critiques; expected 1 to {MOST_CRITIQUES}")
        return "majority", [repeated[2]] * count
    if ruled := _RULED.fullmatch(text):
        rule: Rule = ruled[1]  # type: ignore[assignment]  # the expression matches these alone
        return rule, [name.strip() for name in ruled[2].split(",")]
    if re.fullmatch(_NAME, text) is None:
        raise UsageError(f"oracle {spec!r} cannot be read; try {_EXAMPLES}")
    return None, [text]


def _vote(text: str, spec: str, build: Callable[[str, bool], Oracle]) -> Oracle:
    rule, names = _read(text, spec)
    if rule is None:
        return build(text, False)
    varied = _REPEATED.fullmatch(text) is not None
    built = {name: build(name, varied or names.count(name) > 1) for name in dict.fromkeys(names)}
    return Vote([built[name] for name in names], rule)
