"""Two formulas, read by math-verify's parser and compared at points; run as a program, one question a line.

The program imports nothing of this package, so that it starts in isolation from the working directory.
"""

import json
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

DIGITS = 100  # at which two values are compared, behind the point as well
MAX_DIGITS = 2000  # more that stand before it
_FUNCTIONS = [
    "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "sin", "cos", "tan", "sec", "csc", "cot", "log", "ln", "exp",
]  # fmt: skip
_GREEK = [
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "theta", "lambda", "mu", "nu", "rho", "sigma", "tau",
    "phi", "varphi", "omega", "Delta", "Omega", "Phi",
]  # fmt: skip
_COMMANDS = "|".join(
    sorted(
        [*_FUNCTIONS, *_GREEK, "frac", "sqrt", "pi", "infty", "binom", "lfloor", "rfloor", "lceil", "rceil"],
        key=len,
        reverse=True,
    )
)
# What the parser reads faithfully. It drops or misreads the rest without a word: it folds capitals, adds "3 4" up, and
# drops primes and the base of 2516_8 (latex2sympy2_extended 1.11.0); and math-verify takes the first number of a formula
# that cannot be read (math_verify 0.9.0, parser.py, fallback to ExprExtractionConfig).
_READABLE = re.compile(
    rf"(?:\\log_\{{\d+\}}|\\(?:{_COMMANDS})(?![A-Za-z])|[A-Za-z]{{1,3}}(?:_\w|_\{{\w+\}})?(?![A-Za-z'])|\d+|[\s+\-*/^(){{}}|!]|\[\d\])+"
)
_MISREAD = re.compile(
    r"(?<!\d)0\d|(?<![A-Za-z\\])[fghFGH]\s*\^\s*\{?\s*-\s*1\s*\}?\s*\(|\d\s+\d|[\d)}]\s*_|\^\s*(?:\{[^{}]*\}|\w)\s*\^|!\s*[\dA-Za-z!]|(?<![\\A-Za-z_])[A-Za-z]{1,3}\d|\d\s*!\s*!"
)
_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}([-/])\d{1,2}\1(?:\d\d|\d{4})")
_RELATION = re.compile(r"<=|>=|\\le(?![A-Za-z])|\\ge(?![A-Za-z])|\\ne(?![A-Za-z])|[=<>]")
_SPELLED = {"\\le": "<=", "\\ge": ">=", "\\ne": "!="}
_FLIPPED = {">": "<", ">=": "<="}
_WORD_FUNCTION = re.compile(rf"(?<![A-Za-z\\])({'|'.join(_FUNCTIONS)})(?![A-Za-z])")
_DECIMAL = re.compile(r"(?<![\d.])(\d*)\.(\d+)(?![\d.])")
_THOUSANDS = re.compile(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![\d,])")
_BESIDE_FRACTION = re.compile(r"(\d)\s*(?=\\frac(?!\{\d+\}\{\d+\}))")  # 3\frac{\pi}{4} is a product, 1\frac{1}{2} is not
_SLASHED = re.compile(r"(?<![\d.)}/^])(\d+)/(\d+)\s*(?=\\(?:pi|sqrt))")  # 4/3\pi is read 4/(3\pi) otherwise
_LONG_POWER = re.compile(r"\^\s*(-?\d+)(?!\d)")
_LOG_BASE = re.compile(r"\\log\s*_\s*(?:(\d)|\{\s*(\d+)\s*\})\s*")
_BRACED_POWER = re.compile(r"\^\s*\(([^()]*)\)")
# Values for what is unknown: one of each sign at least, and no two letters alike, and their floors neither.
_POINTS = ((23, 7), (-41, 11), (97, 17), (-65, 19))


class Unreadable(Exception):
    """No formula that is sure to be read as it was meant."""


def equal(answer: str, expected: str) -> bool:
    """Whether two formulas, equations or inequalities are the same; False when one cannot be read for sure."""
    try:
        ours, theirs = _chain(answer), _chain(expected)
        if len(ours) == len(theirs) == 1 and not ours[0][0] and not theirs[0][0]:
            return _identical(ours[0][1], theirs[0][1])
        if bool(ours[0][0]) != bool(theirs[0][0]):
            return _same_result(*((answer, theirs[0][1]) if ours[0][0] else (expected, ours[0][1])))
        return any(
            len(ours) == len(way)
            and all(a[0] == b[0] and _proportional(a[1], b[1], a[0]) for a, b in zip(ours, way, strict=True))
            for way in (theirs, theirs[::-1])
        )
    except Unreadable:
        return False


def _chain(text: str) -> list[tuple[str, Any]]:
    """The relations of ``a < b < c`` as signs and differences; one without a sign for a formula."""
    signs, sides = [_SPELLED.get(s, s) for s in _RELATION.findall(text)], [_read(side) for side in _RELATION.split(text)]
    if not signs:
        return [("", sides[0])]
    return [
        (_FLIPPED[sign], right - left) if sign in _FLIPPED else (sign, left - right)
        for sign, left, right in zip(signs, sides, sides[1:], strict=False)
    ]


def _same_result(equation: str, value: Any) -> bool:
    """Whether ``(x+1)^2 = x^2+2x+1`` ends with a value; only an identity has a result."""
    sides = _RELATION.split(equation)
    if set(_RELATION.findall(equation)) != {"="}:
        return False
    read = [_read(side) for side in sides]
    return all(_identical(read[-1], side) for side in read[:-1]) and _identical(read[-1], value)


def _read(text: str) -> Any:
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy

    if _DATE.fullmatch(text.strip()):
        raise Unreadable(text)
    text = _THOUSANDS.sub(lambda m: m[0].replace(",", ""), text)
    text = _BRACED_POWER.sub(r"^{\1}", _WORD_FUNCTION.sub(r"\\\1 ", text.strip()))
    text = _DECIMAL.sub(lambda m: "(\\frac{{{}}}{{{}}})".format(*Fraction(f"0{m[0]}").as_integer_ratio()), text)
    text = _SLASHED.sub(r"\\frac{\1}{\2}*", text)
    text = _LOG_BASE.sub(lambda m: f"\\log_{{{m[1] or m[2]}}} ", text)
    text = _BESIDE_FRACTION.sub(r"\1*", _LONG_POWER.sub(r"^{\1}", text)).replace("( ", "(")
    if not text or not _READABLE.fullmatch(text) or _MISREAD.search(text):
        raise Unreadable(text)
    try:
        formula = latex2sympy(
            text,
            is_real=True,
            convert_degrees=False,
            normalization_config=None,
            conversion_config=ConversionConfig(lowercase_symbols=False),
        )
    except Exception as e:  # the parser raises plain Exception, and sympy anything on hostile input
        raise Unreadable(text) from e
    return _with_constants(formula)


def _with_constants(formula: Any) -> Any:
    import sympy

    if not isinstance(formula, sympy.Expr):
        raise Unreadable(str(formula))
    constants = {"i": sympy.I, "e": sympy.E}
    return formula.subs(
        {symbol: constants[symbol.name] for symbol in formula.free_symbols if getattr(symbol, "name", "") in constants}
    )


def _identical(a: Any, b: Any) -> bool:
    return all(_close(x, y) for x, y in _values(a, b))


def _proportional(a: Any, b: Any, sign: str) -> bool:
    """Whether ``a sign 0`` and ``b sign 0`` are one relation: the two differ by a constant factor, positive for ``<``."""
    if a.free_symbols != b.free_symbols or not a.free_symbols:
        return False
    values = list(_values(a, b))
    x, y = values[0]
    factor_is_fit = sign in ("=", "!=") or (x / y).is_positive
    return bool(y != 0 and x != 0 and factor_is_fit) and all(_close(x * v, u * y) for u, v in values[1:])


def _values(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    """Both at some points; where one has no value, they are not compared."""
    import sympy

    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    for point in _POINTS if symbols else _POINTS[:1]:
        at = {s: sympy.Rational(*point) * (k + 1) + k for k, s in enumerate(symbols)}
        x, y = (side.subs(at).doit() for side in (a, b))
        yield (x, y) if x.is_Rational and y.is_Rational else (_number(x), _number(y))


def _number(value: Any) -> Any:
    """With the digits behind the point too: 2^{999} + \\pi is not 2^{999} + 3."""
    import sympy

    number = sympy.N(value, DIGITS)
    if not number.is_finite or abs(number) < 10**20:
        return number
    return sympy.N(value, DIGITS + min(int(sympy.log(abs(number), 10)), MAX_DIGITS))


def _close(x: Any, y: Any) -> bool:
    """Equal but for what the last digits lose; 10^{-20} is not 10^{-21}, nor is it 0."""
    import sympy

    if x == y:
        return x not in (sympy.zoo, sympy.nan)
    if not (x.is_finite and y.is_finite) or (x.is_Rational and y.is_Rational):
        return False
    scale = max(abs(x), abs(y))
    digits = DIGITS - 20 + max(0, min(int(sympy.log(scale, 10)), MAX_DIGITS))
    return bool(abs(x - y) <= scale * sympy.Float(10) ** -digits)


def _serve() -> None:
    import latex2sympy2_extended.latex2sympy2  # noqa: F401 - what takes long, before the first question

    print("ready", flush=True)
    for line in sys.stdin:
        answer, expected = json.loads(line)
        try:
            reply = equal(answer, expected)
        except Exception:  # noqa: BLE001 - sympy raises anything on hostile input; an answer that cannot be read is not right
            reply = False
        print(int(reply), flush=True)


if __name__ == "__main__":
    _serve()
