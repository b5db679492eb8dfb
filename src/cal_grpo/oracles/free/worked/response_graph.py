"""The quantities of a response, what each was computed from, and how each stands to the reference."""

from dataclasses import dataclass, field

from cal_grpo.grading import extract_answer, parse_number
from cal_grpo.oracles.free.worked.givens import CONSTANTS
from cal_grpo.oracles.free.worked.reading import Algebra, Computation, Expression, Statement, rounded
from cal_grpo.oracles.free.worked.reference_graph import Match, ReferenceGraph

_MAX_WAYS = 6  # sets of givens that a quantity may depend on
_MAX_OTHERS = 40  # numbers that a quantity is tried with
_METRIC = (1000.0, 100.0, 60.0, 3600.0)  # factors between units, when they are not a given or a result


@dataclass(eq=False, slots=True)
class Quantity:
    """A value that a step establishes by a computation, or by solving an equation (``operator`` is ``x``).

    Attributes:
        step: index of the step.
        expression: how it is written; ``sources`` tells which of its numbers are earlier quantities.
        inputs, consumers: the quantities it was computed from, and those computed from it.
        masks: the givens it may depend on.
        match: how it stands to the reference.
        harmless: it only prepares: a given in another unit, or the rest of a percentage.
        repeated: computed before in the same way.
        new: its value is neither given nor established before.
        sound: it matches the reference, or leads to something new that does.
    """

    value: float
    operands: tuple[float, ...]
    operator: str
    step: int
    expression: Expression
    start: int
    end: int
    inputs: list["Quantity"] = field(default_factory=list)
    consumers: list["Quantity"] = field(default_factory=list)
    sources: dict[float, "Quantity"] = field(default_factory=dict)
    masks: list[int] = field(default_factory=list)
    match: Match = Match.STRAY
    harmless: bool = False
    repeated: bool = False
    new: bool = True
    sound: bool = False

    @property
    def matched(self) -> bool:
        return self.match >= Match.EQUAL

    @property
    def is_additive(self) -> bool:
        return self.operator in "+-"


class ResponseGraph:
    """The quantities of a response, in order, compared with a reference.

    Attributes:
        quantities: all of them; ``by_step`` the computed ones of each step.
        answer: the quantity that the response gives as its answer, else the last one; None without quantities.
    """

    def __init__(self, statements: list[Statement], reference: ReferenceGraph, response: str) -> None:
        self.reference = reference
        self.quantities: list[Quantity] = []
        self.by_step: list[list[Quantity]] = [[] for _ in statements]
        self._latest: dict[float, Quantity] = {}
        self._established = set(reference.givens.values)
        self._unknowns_mask = 0
        self._computed: set[tuple[float, tuple[float, ...]]] = set()
        for step, statement in enumerate(statements):
            for algebra in statement.algebra:
                self._solve(algebra, step)
            for computation in statement.computations:
                self.by_step[step].append(self._compute(computation, step))
        false_steps = {step for step, statement in enumerate(statements) if statement.false is not None}
        self._mark_sound(false_steps)
        written = parse_number(extract_answer(response) or "")
        stated = self._latest.get(rounded(written)) if written is not None else None
        self.answer = stated or (self.quantities[-1] if self.quantities else None)

    def _solve(self, algebra: Algebra, step: int) -> None:
        for number in algebra.operands:
            self._unknowns_mask |= self.reference.givens.bit(number)
        value = algebra.solution
        if value is None or not algebra.is_solved:
            return
        before = self._latest.get(value)
        if before is not None and before.operator == "x":
            return
        quantity = Quantity(value, (), "x", step, ("number", value, -1), 0, 0, masks=[self._unknowns_mask])
        self._take_from_equation(quantity)
        quantity.repeated = before is not None
        self._establish(quantity)

    def _take_from_equation(self, quantity: Quantity) -> None:
        """What stands beside an unknown is right when the reference has it; if not, the equation is to blame for it."""
        known = quantity.value in self.reference.values or quantity.value == self.reference.final
        quantity.match = Match.EQUAL if known else Match.STRAY
        quantity.harmless = not known

    def _compute(self, computation: Computation, step: int) -> Quantity:
        c = computation
        quantity = Quantity(c.value, c.operands, c.operator, step, c.expression, c.start, c.end)
        quantity.masks = self._link(quantity)
        quantity.repeated = (c.value, c.operands) in self._computed
        quantity.match = self.reference.match(c.value, quantity.masks, c.operands, c.value not in self._established)
        if c.solving and not quantity.matched:
            self._take_from_equation(quantity)
        elif quantity.match <= Match.PARTLY:
            quantity.harmless = self._prepares(quantity)
            if not quantity.harmless and any(quantity.masks):
                converted = self.reference.matches_converted(c.value, quantity.masks, c.operands)
                quantity.match = Match.EQUAL if converted else quantity.match
        self._computed.add((c.value, c.operands))
        self._establish(quantity)
        return quantity

    def _link(self, quantity: Quantity) -> list[int]:
        """Find where the operands come from; a given number that is also a recent result may be either."""
        givens = self.reference.givens
        masks = [0]
        for number in dict.fromkeys(quantity.operands):
            given = number in givens
            source = self._latest.get(number) or (None if given else self._latest.get(rounded(number / 100)))
            ways = list(source.masks) if source else []
            if given or source is None:
                ways.append(givens.bit(number))
            if source is not None and (not given or source is self.quantities[-1]):
                quantity.inputs.append(source)
                quantity.sources[number] = source
                source.consumers.append(quantity)
            masks = list(dict.fromkeys(mask | way for mask in masks for way in ways))[:_MAX_WAYS]
        return masks

    def _prepares(self, quantity: Quantity) -> bool:
        if quantity.value in quantity.operands and 1.0 in quantity.operands and not quantity.is_additive:
            return True  # 1 x 12 = 12
        if self.reference.is_bare and quantity.is_additive:
            return False
        givens = self.reference.givens
        if not quantity.inputs and quantity.value not in givens and givens.turns_into(quantity.value):
            return all(givens.turns_into(number) or number in CONSTANTS for number in quantity.operands)
        units = [n for n in quantity.operands if n in _METRIC and n not in givens and n not in quantity.sources]
        return not quantity.is_additive and len(quantity.operands) == 2 and bool(units)

    def is_pending(self, quantity: Quantity) -> bool:
        """Whether it is right so far as one can see: a part of the reference's arithmetic, or one operation away from it."""
        if self.reference.is_bare:
            return False
        if Match.TERM <= quantity.match <= Match.GROUP:
            return True
        givens = self.reference.givens
        others = {value: [givens.bit(value)] for value in givens.values} | {v: q.masks for v, q in self._latest.items()}
        for value, ways in list(others.items())[:_MAX_OTHERS]:
            masks = [a | b for a in quantity.masks for b in ways][:_MAX_WAYS]
            results = [quantity.value + value, quantity.value - value, value - quantity.value, quantity.value * value]
            results += [quantity.value / value, value / quantity.value] if value and quantity.value else []
            if any(self.reference.match(rounded(result), masks, ()) >= Match.EQUAL for result in results):
                return True
        return False

    def _establish(self, quantity: Quantity) -> None:
        quantity.new = quantity.value not in self._established
        self._established.add(quantity.value)
        self._latest[quantity.value] = quantity
        self.quantities.append(quantity)

    def _mark_sound(self, false_steps: set[int]) -> None:
        for quantity in self.quantities:
            quantity.sound = quantity.matched and quantity.step not in false_steps
        for quantity in self.quantities:
            if quantity.sound and quantity.matched and quantity.new:
                waiting = list(quantity.inputs)
                while waiting:
                    source = waiting.pop()
                    if not source.sound:
                        source.sound = True
                        waiting += source.inputs


def is_off(quantity: Quantity) -> bool:
    """Whether a quantity is none of the reference's and leads to none of them."""
    unsound = not quantity.sound and not quantity.repeated and not quantity.harmless
    return unsound and quantity.match <= Match.ELSEWHERE


def ancestors(quantity: Quantity) -> list[Quantity]:
    """A quantity and all that it was computed from."""
    seen: dict[int, Quantity] = {}
    waiting = [quantity]
    while waiting:
        current = waiting.pop()
        if id(current) not in seen:
            seen[id(current)] = current
            waiting += current.inputs
    return list(seen.values())
