"""What does a text state, number by number?"""

from cal_grpo.oracles.free.worked.reading.expressions import chains
from cal_grpo.oracles.free.worked.reading.lexer import Token, tokenize
from cal_grpo.oracles.free.worked.reading.quantities import equations
from cal_grpo.oracles.free.worked.reading.statements import Algebra, Computation, Statement, read, rounded
from cal_grpo.oracles.free.worked.reading.values import Expression, Linear, Value, is_computed, linear_parts, operands
from cal_grpo.oracles.free.worked.reading.wording import Bag, Wording, bag

__all__ = [
    "Algebra",
    "Bag",
    "Computation",
    "Expression",
    "Linear",
    "Statement",
    "Token",
    "Value",
    "Wording",
    "bag",
    "chains",
    "equations",
    "is_computed",
    "linear_parts",
    "operands",
    "read",
    "rounded",
    "tokenize",
]
