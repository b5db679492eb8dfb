"""What speaks for and against each step of a wrong response being the first that is wrong.

A step is *suspect* when an equation in it is false, when it establishes something that the reference neither has nor is
led back to, when its algebra breaks, or when it goes on after the right answer was reached.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cal_grpo.oracles.free.worked.agreement import agreement
from cal_grpo.oracles.free.worked.algebra import Standing, standings
from cal_grpo.oracles.free.worked.claims import is_answer
from cal_grpo.oracles.free.worked.counterfactual import Repairs, repairs
from cal_grpo.oracles.free.worked.reading import Statement, read
from cal_grpo.oracles.free.worked.reference_graph import Match, ReferenceGraph, reference_graph
from cal_grpo.oracles.free.worked.response_graph import Quantity, ResponseGraph, ancestors, is_off
from cal_grpo.oracles.steps import Step

_SAYS = re.compile(r"\d|[^\W\d_]{2}")
_MAX_PENDING = 100  # quantities, from the end
_LONG = 40  # words: a longer step counts as this long
_LIKELY_CONVERSIONS = (1000.0, 100.0, 60.0, 12.0, 0.001, 0.01, 1 / 60, 1 / 12)

# Every name is one number per step; absent means 0. Three more are not weighed against the others: where the reference is bare,
# ``repeats``, it computes only what was computed before, and ``agrees_soundly``, ``agrees`` where its computations are the
# reference's; where the response is long-winded, ``recalls``, its numbers are given or were said before.
NAMES = (
    "first_suspect",  # the first suspect step
    "clear",  # nothing suspect yet, nor here
    "late",  # two suspects came before
    "false",  # a written equation does not hold
    "wrong_operation",  # another operation on the same numbers is the reference's, or would make the answer right
    "repaired",  # first unsound step behind the quantity that, set to a value of the reference, makes the answer right
    "introduces",  # names a number that a later step uses and that would have to be another
    "algebra_holds",
    "idle",  # states nothing that is new: words, a given number, the bare answer
    "from_nowhere",  # names a number that is neither given nor computed, and a step computes with it
    "opening",  # the first step
    "leads_astray",  # computes what the first suspect step uses
    "recovers",  # a later step comes to something new that is right
    "length",  # its words, 1 at twenty
    "agrees",  # likeness to the wording of the reference's steps with the same value
    "same_line",  # likeness to the line of the reference that is worded most alike, where it has the same value
    "same_thing",  # likeness of the words behind its value, which say what it counts, to those behind the reference's
    "quotes",  # likeness to the question, where it only says what is given
    "vouched",  # something that is right was computed from it
    "on_solid",  # the first suspect step, where the like is true of all that it uses
    "conflicts",  # likeness to the wording of the reference's steps with other values, unless it is off itself
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The features of one step, its statement, the quantities it computes, and why it is suspect ("" if it is not)."""

    statement: Statement
    quantities: Sequence[Quantity]
    features: Mapping[str, float]
    reason: str

    @property
    def is_quiet(self) -> bool:
        """Whether it computes nothing: a plan, a heading, a lead-in, words."""
        return not self.quantities and not self.statement.algebra

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that could be wrong: the brackets around a formula, a line."""
        return _SAYS.search(self.statement.text) is None


def gather(question: str, reference: str, steps: Sequence[Step], response: str, *, unfinished: bool = False) -> list[Evidence]:
    """The evidence on each step of a response. ``unfinished``: what leads nowhere yet may still be going to."""
    known = reference_graph(question, reference)
    statements = [read(step.text) for step in steps]
    graph = ResponseGraph(statements, known, response)
    algebra = standings(statements, known)
    features: list[dict[str, float]] = [{} for _ in steps]
    reasons = _suspicions(statements, graph, algebra, unfinished)
    suspects = [i for i, reason in enumerate(reasons) if reason]
    for i, found in enumerate(features):
        before = sum(suspect < i for suspect in suspects)
        found["first_suspect"] = float(bool(reasons[i]) and not before)
        found["clear"] = float(not reasons[i] and not before)
        found["late"] = float(before > 1)
        found["false"] = float(statements[i].false is not None)
        found["opening"] = float(i == 0)
        found["length"] = min(len(statements[i].text.split()), _LONG) / 20
    _add_content(features, statements, graph, algebra)
    _add_course(features, graph, suspects)
    _add_repairs(features, statements, graph, repairs(graph))
    for found in features:
        found["recalls"] = found.get("recalls") or float(bool(found.get("idle")) and not found.get("introduces"))
    for found, more in zip(features, agreement(statements, graph), strict=True):
        found |= more
    quantities = graph.by_step
    return [Evidence(s, q, f, r) for s, q, f, r in zip(statements, quantities, features, reasons, strict=True)]


def _is_dead_end(quantity: Quantity, reference: ReferenceGraph) -> bool:
    """Whether a part of the reference's arithmetic is used as if it were the whole.

    A part of a sum is fine as long as it goes into sums, a term of a product that was multiplied out when it does too.
    Where the reference is a row of bare equations, whoever leaves its order must come back to it.
    """
    if quantity.sound or quantity.repeated or quantity.harmless or not Match.PARTLY <= quantity.match <= Match.GROUP:
        return False
    if quantity.match is Match.PARTLY or not quantity.consumers or reference.is_bare:
        return True
    additive = quantity.is_additive or quantity.match is Match.TERM
    return any(consumer.is_additive != additive for consumer in quantity.consumers)


def _suspicions(
    statements: Sequence[Statement], graph: ResponseGraph, algebra: Mapping[int, Standing], unfinished: bool
) -> list[str]:
    """Why each step is suspect, "" where it is not."""
    reasons = []
    unsure = [q for q in graph.quantities if unfinished and not q.consumers and (is_off(q) or _is_dead_end(q, graph.reference))]
    pending = {id(quantity) for quantity in unsure[-_MAX_PENDING:] if graph.is_pending(quantity)}
    right_since: int | None = None  # the step that reached the right answer
    for i, statement in enumerate(statements):
        quantities = [q for q in graph.by_step[i] if not q.repeated and id(q) not in pending]
        off = next((quantity for quantity in quantities if is_off(quantity)), None)
        dead_end = next((quantity for quantity in quantities if _is_dead_end(quantity, graph.reference)), None)
        went_on = right_since is not None and any(quantity.new for quantity in quantities)
        if graph.reference.says(statement.text):
            reasons.append("")
        elif statement.false is not None:
            reasons.append(f"{statement.false.text.strip()} is false")
        elif went_on:
            reasons.append("it goes on after the right answer was reached")
            right_since = None
        elif off is not None:
            reasons.append(f"the reference solution never comes to {off.value:g}")
        elif dead_end is not None:
            reasons.append(f"{dead_end.value:g} is only a part of what the reference solution computes")
        elif algebra.get(i) is Standing.BREAKS:
            reasons.append("no value of the reference solution fulfils this equation")
        else:
            reasons.append("")
        right = (graph.reference.is_final(q.value, q.masks, q.operands) for q in graph.by_step[i])
        if right_since is None and any(right) and not any("right answer" in reason for reason in reasons):
            right_since = i
    return reasons


def _add_content(
    features: list[dict[str, float]], statements: Sequence[Statement], graph: ResponseGraph, algebra: Mapping[int, Standing]
) -> None:
    reference = graph.reference
    used = {number for quantity in graph.quantities for number in quantity.operands}
    seen: set[float] = set()
    for i, (statement, found) in enumerate(zip(statements, features, strict=True)):
        quantities = graph.by_step[i]
        new = [quantity for quantity in quantities if not quantity.repeated]
        if new:
            wrong = (q for q in new if is_off(q) and _has_other_operation(q, reference))
            found["wrong_operation"] = float(any(wrong) and statement.false is None)
        elif quantities:
            found["repeats"] = 1.0
        elif statement.algebra:
            found["algebra_holds"] = float(algebra.get(i) is Standing.HOLDS)
        elif is_answer(statement.text) or not statement.mentions:
            found["idle"] = 1.0
        elif statement.mentions[-1] not in seen:
            news = [value for value in statement.mentions if _is_news(value, seen, reference)]
            found["idle"] = float(not news)
            found["from_nowhere"] = float(any(value in used for value in news))
        if not quantities and not statement.algebra:
            found["recalls"] = float(all(value in seen or value in reference.givens for value in statement.mentions))
        seen.update(quantity.value for quantity in quantities)
        seen.update(statement.mentions)


def _add_course(features: list[dict[str, float]], graph: ResponseGraph, suspects: Sequence[int]) -> None:
    last_right = max((q.step for q in graph.quantities if q.sound and q.new), default=0)
    for found in features[:last_right]:
        found["recovers"] = 1.0
    if suspects:
        for quantity in graph.by_step[suspects[0]]:
            for source in quantity.inputs:
                if source.step < suspects[0]:
                    features[source.step]["leads_astray"] = 1.0
        used = [source for quantity in graph.by_step[suspects[0]] for source in quantity.inputs]
        features[suspects[0]]["on_solid"] = float(bool(used) and all(map(_is_vouched, used)))
    for found, quantities in zip(features, graph.by_step, strict=True):
        found["vouched"] = float(any(_is_vouched(quantity) for quantity in quantities if not quantity.repeated))


def _is_vouched(quantity: Quantity) -> bool:
    return any(consumer.sound for consumer in quantity.consumers)


def _has_other_operation(quantity: Quantity, reference: ReferenceGraph) -> bool:
    return any(c.operands == quantity.operands and c.operator != quantity.operator for c in reference.computations)


def _is_news(value: float, seen: set[float], reference: ReferenceGraph) -> bool:
    if value in seen or reference.reaches(value) or value in reference.stated or reference.givens.turns_into(value):
        return False
    return not any(round(value * factor, 3) in seen for factor in _LIKELY_CONVERSIONS)


def _add_repairs(
    features: list[dict[str, float]], statements: Sequence[Statement], graph: ResponseGraph, found: Repairs
) -> None:
    reference = graph.reference
    roots = [q for q, needed in found.quantity if q is not graph.answer and q.value != needed and needed in reference.values]
    for matched in (False, True):
        root = next((quantity for quantity in roots if quantity.matched is matched), None)
        if root is not None:
            behind = {id(quantity) for quantity in ancestors(root)}
            unsound = (q for q in graph.quantities if id(q) in behind and (q is root or _is_unsound(q)))
            features[next(unsound).step]["repaired"] = 1.0
    for test in (lambda v: reference.reaches(v) or reference.reaches(-v), reference.givens.turns_into):
        uses = ((q, number) for q, number, needed in found.number if number != needed and test(needed))
        quantity, number = next(uses, (None, 0.0))
        if quantity is not None:
            naming = [
                i
                for i, statement in enumerate(statements[: quantity.step])
                if not graph.by_step[i] and number in statement.mentions and not is_answer(statement.text)
            ]
            if naming:
                features[naming[-1]]["introduces"] = 1.0
    operation = next((quantity for quantity in found.operation if not quantity.matched), None)
    if operation is not None:
        features[operation.step]["wrong_operation"] = 1.0


def _is_unsound(quantity: Quantity) -> bool:
    parts = Match.PARTLY <= quantity.match <= Match.GROUP
    return is_off(quantity) or (parts and not quantity.sound and not quantity.repeated and not quantity.harmless)
