"""Numbers as people and models write them, with their units."""

import re
from dataclasses import dataclass
from fractions import Fraction

from cal_grpo.grading.reading.spelling import plain
from cal_grpo.grading.reading.units import MONEY, SCALES, currency_before, unit_behind

MAX_DIGITS = 60  # a longer number is text: exact arithmetic on it could be made to take for ever
MAX_TEXT = 400  # characters of an answer that may state a number

_FRACTION = re.compile(r"\s*\\frac\{\s*(\d{1,60})\s*\}\{\s*(\d{1,60})\s*\}")
_MIXED = re.compile(
    r"(?P<whole>\d{1,60})(?:(?:\s+and)?\s+|(?P<dash>-)(?=\d))(?P<top>\d{1,60})\s?/\s?(?P<bottom>\d{1,60})(?![\d.])"
)
_REPEATING = re.compile(r"(?P<fixed>\d{0,60}\.\d{0,60})\\(?:overline|bar|dot)\s*\{(?P<period>\d{1,60})\}")
_DECIMAL = r"(?:\d{1,3}(?:[, ]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_RATIO = re.compile(rf"(?P<top>{_DECIMAL})(?:\s?/\s?(?P<bottom>\d+(?:\.\d+)?))?")
_POWER_OF_TEN = re.compile(r"\s*\*\s*10\s*\^\s*\{?\s*([+-]?\d{1,2})\s*\}?(?![\d.])|[eE]([+-]?\d{1,2})(?![\d.])")
_NAME_IS = re.compile(r"[A-Za-z]\w{0,20}\s*=\s*")
_ARITHMETIC = re.compile(r"[\d\s.,+\-*/()=$€£¥%]*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact number, and the currency and the unit that it was written with, "" for none."""

    value: Fraction
    currency: str = ""
    unit: str = ""

    def equals(self, other: "Quantity") -> bool:
        """Whether both state the same; a unit is ignored only where the other side has none."""
        return any(a._same(b) for a in self._readings() for b in other._readings())

    def _same(self, other: "Quantity") -> bool:
        if self.value != other.value or not _agree(self.currency, other.currency) or not _agree(self.unit, other.unit):
            return False
        if self._is_scaled != other._is_scaled and (self.currency and other.currency):
            return False  # 2 million dollars and 2 dollars
        # $5 and 5 eggs have neither in common; $18 and $18 a day do.
        only_money, only_unit = (bool(self.currency and not self.unit), bool(self.unit and not self.currency))
        return not (only_money and other.unit and not other.currency) and not (only_unit and other.currency and not other.unit)

    @property
    def _is_scaled(self) -> bool:
        return self.unit.partition(" ")[0] in SCALES

    def _readings(self) -> "tuple[Quantity, ...]":
        """As written, and 2 million dollars as 2,000,000 dollars too."""
        scale, _, unit = self.unit.partition(" ")
        if scale not in SCALES:
            return (self,)
        is_money = unit in MONEY and not self.currency
        return self, Quantity(self.value * SCALES[scale], unit if is_money else self.currency, "" if is_money else unit)


def _agree(a: str, b: str) -> bool:
    return not a or not b or a == b


def parse_number(text: str) -> Fraction | None:
    """The number that an answer states, or None when it is not plainly one.

    Currency signs, thousands separators, a percent sign, a unit behind, a name in front and LaTeX wrapping are read past:
    ``$1,234.50``, ``75%``, ``3/4``, ``1 1/2``, ``18 eggs``, ``x = 5``, ``\\frac{1}{2}``, ``1.5e3``. Percent is a unit
    here, not a factor: a task that asks for a percentage is answered ``75`` or ``75%`` alike. The right side counts of an
    equation between numbers, ``9*2 = 18``.
    """
    text = plain(text[:MAX_TEXT])
    quantity = read_quantity(_NAME_IS.sub("", text, count=1) if _NAME_IS.match(text) else text)
    return None if quantity is None else quantity.value


def read_quantity(text: str) -> Quantity | None:
    """The quantity that a plain text states as a whole, else None."""
    if len(text) > MAX_TEXT or not any(map(str.isdigit, text)):
        return None
    text = right_side(text)
    while text[:1] == "(" and text[-1:] == ")" and "," not in text:
        text = text[1:-1].strip()
    text = text.removeprefix("\\approx").lstrip("~ ")
    sign, text = _sign(text)
    currency, text = currency_before(text.lstrip())
    behind, text = _sign(text) if sign == 1 and currency else (1, text)  # the sign behind the currency
    number = _read_number(_FRACTION.sub(r" \1/\2", text).strip() if "\\frac" in text else text)
    if number is None:
        return None
    value, rest = number
    tail = unit_behind(rest)
    if tail is None or (currency and tail[0] and currency != tail[0]):
        return None
    return Quantity(sign * behind * value, currency or tail[0], tail[1])


def right_side(text: str) -> str:
    """``18`` of ``9*2 = 18`` when the left side is arithmetic on plain numbers; else the text as it is."""
    left, _, right = text.rpartition("=")
    return right.strip() if left and _ARITHMETIC.fullmatch(left) else text


def _sign(text: str) -> tuple[int, str]:
    return (-1, text[1:].lstrip()) if text.startswith("-") else (1, text.removeprefix("+"))


def _read_number(text: str) -> tuple[Fraction, str] | None:
    """The number at the start of a text, without a sign, and what follows."""
    if sum(map(str.isdigit, text)) > 2 * MAX_DIGITS:
        return None
    if mixed := _MIXED.match(text):
        top, bottom = int(mixed["top"]), int(mixed["bottom"])
        if len(mixed["whole"]) + len(mixed["top"]) > MAX_DIGITS or not bottom or (mixed["dash"] and top >= bottom):
            return None
        return int(mixed["whole"]) + Fraction(top, bottom), text[mixed.end() :]
    if repeating := _REPEATING.match(text):
        fixed, period = repeating["fixed"], repeating["period"]
        shift = 10 ** (len(fixed.partition(".")[2]))
        return Fraction(f"0{fixed}0") + Fraction(int(period), (10 ** len(period) - 1) * shift), text[repeating.end() :]
    ratio = _RATIO.match(text)
    if ratio is None or sum(map(str.isdigit, ratio.group())) > MAX_DIGITS:
        return None
    bottom_value = Fraction(ratio["bottom"] or 1)
    if not bottom_value:
        return None
    value, rest = Fraction(re.sub("[, ]", "", ratio["top"])) / bottom_value, text[ratio.end() :]
    if power := _POWER_OF_TEN.match(rest):
        value, rest = value * Fraction(10) ** int(power[1] or power[2]), rest[power.end() :]
    return value, rest
