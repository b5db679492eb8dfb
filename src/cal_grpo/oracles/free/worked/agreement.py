"""How far the words of a step agree with what the reference says of the same numbers."""

from collections.abc import Sequence

from cal_grpo.oracles.free.worked.reading import Statement, bag
from cal_grpo.oracles.free.worked.reference_graph import Match
from cal_grpo.oracles.free.worked.response_graph import Quantity, ResponseGraph, is_off
from cal_grpo.oracles.free.worked.told import Told, things


def agreement(statements: Sequence[Statement], graph: ResponseGraph) -> list[dict[str, float]]:
    """The features of wording of each step, see ``cal_grpo.oracles.free.worked.evidence.NAMES``."""
    told, found = graph.reference.told, []
    for statement, quantities in zip(statements, graph.by_step, strict=True):
        found.append(_of_step(statement, [quantity for quantity in quantities if not quantity.repeated], told))
        given = statement.mentions and all(value in graph.reference.givens for value in statement.mentions)
        if given and not quantities and not statement.algebra:
            words = bag(statement.text)
            found[-1]["quotes"] = max((told.wording.likeness(words, asked) for asked in told.asked), default=0.0)
    return found


def _of_step(statement: Statement, new: list[Quantity], told: Told) -> dict[str, float]:
    values = {quantity.value for quantity in new} or set(statement.mentions)
    if not values:
        return {}
    words = bag(statement.text)
    lines, likely = told.lines, told.wording.likeness
    likeness = [(likely(words, line.words), bool(values & line.values)) for line in lines]
    same = max((value for value, shared in likeness if shared), default=0.0)
    other = max((value for value, shared in likeness if not shared), default=0.0)
    found = {"agrees": same}
    if new and statement.false is None and all(quantity.matched for quantity in new):
        found["agrees_soundly"] = same
    if words and not any(map(is_off, new)):
        found["conflicts"] = other
    if new and words and likeness:
        nearest = max(range(len(lines)), key=lambda i: (likeness[i][0], likeness[i][1]))
        part = any(q.match >= Match.TERM and any(set(q.operands) <= of for of in lines[nearest].operands) for q in new)
        found["same_line"] = likeness[nearest][0] * (likeness[nearest][1] or part)
    here = {quantity.value for quantity in new if quantity.value in told.counted}
    if here:
        alike = (likely(a, b) for value, a in things(statement.tokens) if value in here for b in told.counted[value])
        found["same_thing"] = max(alike, default=0.0)
    return found
